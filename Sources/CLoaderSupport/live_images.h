// What live_images.c and introspection.c share: the list of our images, and its lock.
#ifndef LIVE_IMAGES_H
#define LIVE_IMAGES_H

#include "CLoaderSupport.h"

struct dl_phdr_info;
struct dl_find_object;

void hl_live_images_lock(void);
void hl_live_images_unlock(void);
// With the lock held: the image an address lies in; the image that a handle stands for; NULL for none.
hl_live_image *hl_live_image_at(const void *address);
hl_live_image *hl_live_image_of(const void *handle);
// dl_iterate_phdr(3) over the process's images, then ours.
int hl_dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *context);
// glibc's _dl_find_object for the process's images and ours.
int hl_dl_find_object(void *address, struct dl_find_object *result);

#endif
