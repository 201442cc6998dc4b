// Swift Package Manager wants a source file beside the header.
#include "KeyboundTestingFFI.h"
