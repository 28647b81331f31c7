#ifndef _WASISOCKET_SYS_SELECT_H
#define _WASISOCKET_SYS_SELECT_H

#include_next <sys/select.h>
#include <__macro_FD_SETSIZE.h>

#endif
