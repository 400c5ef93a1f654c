// Zydis: x86 instruction lengths and operands.
#include <Zydis/Zydis.h>
