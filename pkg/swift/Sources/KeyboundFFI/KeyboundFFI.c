// The functions are in the library; Swift Package Manager wants a source file to make a module of their header.
#include "KeyboundFFI.h"
