#ifndef _WASISOCKET_NETINET_TCP_H
#define _WASISOCKET_NETINET_TCP_H

#include_next <netinet/tcp.h>

/* wasi-libc has every option of tcp(7). These are not there, as in netinet/in.h. */
#undef TCP_MAXSEG
#undef TCP_SYNCNT
#undef TCP_LINGER2
#undef TCP_DEFER_ACCEPT
#undef TCP_WINDOW_CLAMP
#undef TCP_INFO
#undef TCP_CONGESTION
#undef TCP_MD5SIG
#undef TCP_THIN_LINEAR_TIMEOUTS
#undef TCP_THIN_DUPACK
#undef TCP_REPAIR
#undef TCP_REPAIR_QUEUE
#undef TCP_QUEUE_SEQ
#undef TCP_FASTOPEN
#undef TCP_TIMESTAMP
#undef TCP_NOTSENT_LOWAT
#undef TCP_CC_INFO
#undef TCP_SAVE_SYN
#undef TCP_SAVED_SYN
#undef TCP_REPAIR_WINDOW
#undef TCP_FASTOPEN_CONNECT
#undef TCP_ULP
#undef TCP_MD5SIG_EXT
#undef TCP_FASTOPEN_KEY
#undef TCP_FASTOPEN_NO_COOKIE
#undef TCP_ZEROCOPY_RECEIVE
#undef TCP_INQ
#undef TCP_TX_DELAY
#undef TCP_REPAIR_OPTIONS
#undef TCP_CM_INQ

#endif
