/* SHA-3 with numbers of 64 bits, which WebAssembly has: OpenSSL's code takes a target with small pointers for one
 * without.
 *
 * This file takes the place of OpenSSL's of the same name, which it includes under the name of a processor whose pointers
 * may be small. What that includes comes first, so that nothing else sees the name. */

#include <assert.h>
#include <string.h>
#include <openssl/e_os2.h>
#include "internal/nelem.h"

#define __mips64
#include "upstream_keccak1600.c"
