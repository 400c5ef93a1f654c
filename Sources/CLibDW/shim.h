// libdw (elfutils): DWARF. As for CLibElf: elf.h belongs to CLoaderSupport.
#include "../CLoaderSupport/include/CLoaderSupport.h"
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
