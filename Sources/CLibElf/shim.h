// libelf (elfutils): ELF of any class and byte order, for the cold paths.
// elf.h has to belong to one Clang module only, or its structures have two homes in Swift: this include
// becomes an import of CLoaderSupport, and what libelf.h includes again is then empty.
#include "../CLoaderSupport/include/CLoaderSupport.h"
#include <gelf.h>
#include <libelf.h>
