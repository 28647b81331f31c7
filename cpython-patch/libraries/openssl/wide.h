/* Included before each file that is compiled for wide arithmetic: bn_local.h has these only where OpenSSL has assembly. */

#define BN_UMULT_HIGH(a, b) ((BN_ULONG)(((unsigned __int128)(a) * (b)) >> 64))

#define BN_UMULT_LOHI(low, high, a, b)                                                                                  \
    do {                                                                                                               \
        unsigned __int128 product = (unsigned __int128)(a) * (b);                                                      \
                                                                                                                       \
        (high) = (BN_ULONG)(product >> 64);                                                                            \
        (low) = (BN_ULONG)product;                                                                                     \
    } while (0)
