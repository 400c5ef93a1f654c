// libelf (elfutils): ELF of any class and byte order, for the cold paths.
#include <gelf.h>
#include <libelf.h>
