#ifndef _WASISOCKET_NET_IF_H
#define _WASISOCKET_NET_IF_H

#ifdef __cplusplus
extern "C" {
#endif

/* Longest name of an interface, with its final zero: netdevice(7). */
#define IF_NAMESIZE 16
#define IFNAMSIZ IF_NAMESIZE

/* if_nameindex(3), if_nametoindex(3) */
struct if_nameindex {
    unsigned int if_index;
    char *if_name;
};

struct if_nameindex *if_nameindex(void);
void if_freenameindex(struct if_nameindex *);
unsigned int if_nametoindex(const char *);
char *if_indextoname(unsigned int, char *);

#ifdef __cplusplus
}
#endif

#endif
