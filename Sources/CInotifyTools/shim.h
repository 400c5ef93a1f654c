// libinotifytools (GPL-2): recursive inotify watches.
#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
