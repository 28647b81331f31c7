//! C's constants and structs: those of wasi-libc, and those of our own headers.
//!
//! Names are C's. `cpython-patch/include/` has the same numbers for C; a test compares the two. Families, types, levels
//! and constants that wasi-libc lacks have Linux's numbers: programs write `shutdown(2)`, and test `type & SOCK_STREAM`,
//! which with wasi-libc's numbers is true for datagrams too.

#![allow(missing_docs, non_camel_case_types)]

use std::ffi::{c_char, c_int, c_short, c_void};

pub type socklen_t = u32;

// sys/socket.h
pub const AF_UNSPEC: i32 = 0;
pub const AF_UNIX: i32 = 1;
pub const AF_INET: i32 = 2;
pub const AF_INET6: i32 = 10;
pub const SOCK_STREAM: i32 = 1;
pub const SOCK_DGRAM: i32 = 2;
pub const SOCK_RAW: i32 = 3;
pub const SOCK_CLOEXEC: i32 = 0x2000;
pub const SOCK_NONBLOCK: i32 = 0x4000;
pub const SHUT_RD: i32 = 0;
pub const SHUT_WR: i32 = 1;
pub const SHUT_RDWR: i32 = 2;
pub const MSG_OOB: i32 = 0x1;
pub const MSG_PEEK: i32 = 0x2;
pub const MSG_CTRUNC: i32 = 0x8;
pub const MSG_TRUNC: i32 = 0x20;
pub const MSG_DONTWAIT: i32 = 0x40;
pub const MSG_WAITALL: i32 = 0x100;
pub const MSG_NOSIGNAL: i32 = 0x4000;
pub const MSG_CMSG_CLOEXEC: i32 = 0x4000_0000;
pub const SCM_RIGHTS: i32 = 1;
pub const MSG_MORE: i32 = 0x8000;
pub const SOL_SOCKET: i32 = 1;
pub const SO_REUSEADDR: i32 = 2;
pub const SO_TYPE: i32 = 3;
pub const SO_ERROR: i32 = 4;
pub const SO_BROADCAST: i32 = 6;
pub const SO_SNDBUF: i32 = 7;
pub const SO_RCVBUF: i32 = 8;
pub const SO_KEEPALIVE: i32 = 9;
pub const SO_OOBINLINE: i32 = 10;
pub const SO_LINGER: i32 = 13;
pub const SO_REUSEPORT: i32 = 15;
pub const SO_ACCEPTCONN: i32 = 30;
pub const SO_PROTOCOL: i32 = 38;
pub const SO_DOMAIN: i32 = 39;
pub const SO_RCVTIMEO: i32 = 66;
pub const SO_SNDTIMEO: i32 = 67;

// netinet/in.h, netinet/tcp.h
pub const IPPROTO_IP: i32 = 0;
pub const IPPROTO_TCP: i32 = 6;
pub const IPPROTO_UDP: i32 = 17;
pub const IPPROTO_IPV6: i32 = 41;
pub const IPPROTO_UDPLITE: i32 = 136;
pub const IP_TOS: i32 = 1;
pub const IP_TTL: i32 = 2;
pub const IP_MULTICAST_IF: i32 = 32;
pub const IP_MULTICAST_TTL: i32 = 33;
pub const IP_MULTICAST_LOOP: i32 = 34;
pub const IP_ADD_MEMBERSHIP: i32 = 35;
pub const IP_DROP_MEMBERSHIP: i32 = 36;
pub const IPV6_UNICAST_HOPS: i32 = 16;
pub const IPV6_MULTICAST_IF: i32 = 17;
pub const IPV6_MULTICAST_HOPS: i32 = 18;
pub const IPV6_MULTICAST_LOOP: i32 = 19;
pub const IPV6_JOIN_GROUP: i32 = 20;
pub const IPV6_LEAVE_GROUP: i32 = 21;
pub const IPV6_V6ONLY: i32 = 26;
pub const IPV6_RECVHOPLIMIT: i32 = 51;
pub const IPV6_HOPLIMIT: i32 = 52;
pub const IPV6_RECVTCLASS: i32 = 66;
pub const IPV6_TCLASS: i32 = 67;
pub const TCP_NODELAY: i32 = 1;
pub const TCP_CORK: i32 = 3;
pub const TCP_KEEPIDLE: i32 = 4;
pub const TCP_KEEPINTVL: i32 = 5;
pub const TCP_KEEPCNT: i32 = 6;
pub const TCP_QUICKACK: i32 = 12;
pub const TCP_USER_TIMEOUT: i32 = 18;

// sys/ioctl.h, fcntl.h
pub const FIONREAD: i32 = 1;
pub const FIONBIO: i32 = 2;
pub const F_DUPFD: i32 = 0;
pub const F_GETFD: i32 = 1;
pub const F_SETFD: i32 = 2;
pub const F_GETFL: i32 = 3;
pub const F_SETFL: i32 = 4;
pub const F_GETLK: i32 = 5;
pub const F_SETLK: i32 = 6;
pub const F_SETLKW: i32 = 7;
pub const F_DUPFD_CLOEXEC: i32 = 1030;
pub const F_RDLCK: i32 = 0;
pub const F_WRLCK: i32 = 1;
pub const F_UNLCK: i32 = 2;

// sys/file.h
pub const LOCK_SH: i32 = 1;
pub const LOCK_EX: i32 = 2;
pub const LOCK_NB: i32 = 4;
pub const LOCK_UN: i32 = 8;

pub const FD_CLOEXEC: i32 = 1;
pub const O_NONBLOCK: i32 = 4;
pub const O_RDONLY: i32 = 0x0400_0000;
pub const O_WRONLY: i32 = 0x1000_0000;
pub const O_RDWR: i32 = 0x1400_0000;
pub const O_ACCMODE: i32 = 0x1e00_0000;

// sys/mman.h
pub const MAP_SHARED: i32 = 0x1;
pub const MAP_ANONYMOUS: i32 = 0x20;
pub const PROT_WRITE: i32 = 0x2;

// poll.h, sys/select.h, sys/epoll.h
pub const FD_SETSIZE: i32 = 4096;
pub const POLLIN: i32 = 0x1;
pub const POLLPRI: i32 = 0x2;
pub const POLLOUT: i32 = 0x4;
pub const POLLERR: i32 = 0x8;
pub const POLLHUP: i32 = 0x10;
pub const POLLNVAL: i32 = 0x20;
pub const POLLRDHUP: i32 = 0x2000;
pub const EPOLL_CTL_ADD: i32 = 1;
pub const EPOLL_CTL_DEL: i32 = 2;
pub const EPOLL_CTL_MOD: i32 = 3;
pub const EPOLL_CLOEXEC: i32 = 0x8_0000;

// netdb.h
pub const AI_PASSIVE: i32 = 0x1;
pub const AI_CANONNAME: i32 = 0x2;
pub const AI_NUMERICHOST: i32 = 0x4;
pub const AI_V4MAPPED: i32 = 0x8;
pub const AI_ALL: i32 = 0x10;
pub const AI_ADDRCONFIG: i32 = 0x20;
pub const AI_NUMERICSERV: i32 = 0x400;
pub const NI_NUMERICHOST: i32 = 0x1;
pub const NI_NUMERICSERV: i32 = 0x2;
pub const NI_NOFQDN: i32 = 0x4;
pub const NI_NAMEREQD: i32 = 0x8;
pub const NI_DGRAM: i32 = 0x10;
pub const EAI_BADFLAGS: i32 = -1;
pub const EAI_NONAME: i32 = -2;
pub const EAI_AGAIN: i32 = -3;
pub const EAI_FAIL: i32 = -4;
pub const EAI_FAMILY: i32 = -6;
pub const EAI_SOCKTYPE: i32 = -7;
pub const EAI_SERVICE: i32 = -8;
pub const EAI_MEMORY: i32 = -10;
pub const EAI_ADDRFAMILY: i32 = -9;
pub const EAI_SYSTEM: i32 = -11;
pub const EAI_OVERFLOW: i32 = -12;
pub const HOST_NOT_FOUND: i32 = 1;
pub const TRY_AGAIN: i32 = 2;
pub const NO_RECOVERY: i32 = 3;
pub const NO_DATA: i32 = 4;

/// netdb.h
#[repr(C)]
pub struct addrinfo {
    pub ai_flags: c_int,
    pub ai_family: c_int,
    pub ai_socktype: c_int,
    pub ai_protocol: c_int,
    pub ai_addrlen: socklen_t,
    pub ai_addr: *mut c_void,
    pub ai_canonname: *mut c_char,
    pub ai_next: *mut addrinfo,
}

/// netdb.h
#[repr(C)]
pub struct hostent {
    pub h_name: *mut c_char,
    pub h_aliases: *mut *mut c_char,
    pub h_addrtype: c_int,
    pub h_length: c_int,
    pub h_addr_list: *mut *mut c_char,
}

/// netdb.h
#[repr(C)]
pub struct servent {
    pub s_name: *mut c_char,
    pub s_aliases: *mut *mut c_char,
    pub s_port: c_int,
    pub s_proto: *mut c_char,
}

/// netdb.h
#[repr(C)]
pub struct protoent {
    pub p_name: *mut c_char,
    pub p_aliases: *mut *mut c_char,
    pub p_proto: c_int,
}

/// net/if.h
#[repr(C)]
pub struct if_nameindex {
    pub if_index: u32,
    pub if_name: *mut c_char,
}

/// fcntl.h
#[repr(C)]
pub struct flock {
    pub l_type: c_short,
    pub l_whence: c_short,
    pub l_start: i64,
    pub l_len: i64,
    pub l_pid: c_int,
}

/// sys/uio.h
#[repr(C)]
#[derive(Clone, Copy)]
pub struct iovec {
    pub iov_base: *mut c_void,
    pub iov_len: usize,
}

/// sys/socket.h
#[repr(C)]
pub struct msghdr {
    pub msg_name: *mut c_void,
    pub msg_namelen: socklen_t,
    pub msg_iov: *mut iovec,
    pub msg_iovlen: c_int,
    pub msg_control: *mut c_void,
    pub msg_controllen: socklen_t,
    pub msg_flags: c_int,
}

/// sys/socket.h
#[repr(C)]
#[derive(Clone, Copy)]
pub struct cmsghdr {
    pub cmsg_len: socklen_t,
    pub cmsg_level: c_int,
    pub cmsg_type: c_int,
}

/// poll.h
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pollfd {
    pub fd: c_int,
    pub events: c_short,
    pub revents: c_short,
}

/// sys/epoll.h; not packed, as on every 32-bit Linux but x86.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct epoll_event {
    pub events: u32,
    pub data: u64,
}

/// sys/time.h
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct timeval {
    pub tv_sec: i64,
    pub tv_usec: i64,
}

/// sys/time.h
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct itimerval {
    pub it_interval: timeval,
    pub it_value: timeval,
}

// signal.h
pub const SIG_BLOCK: i32 = 0;
pub const SIG_UNBLOCK: i32 = 1;
pub const SIG_SETMASK: i32 = 2;
pub const SA_SIGINFO: i32 = 4;
pub const SA_RESTART: i32 = 0x1000_0000;
pub const SA_NODEFER: i32 = 0x4000_0000;
pub const SA_RESETHAND: i32 = -0x8000_0000;

/// signal.h: our own. Who sent a signal is not known.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct siginfo_t {
    pub si_signo: i32,
    pub si_errno: i32,
    pub si_code: i32,
    pub si_pid: i32,
    pub si_uid: u32,
    pub si_status: i32,
}

impl siginfo_t {
    /// What is known of a signal.
    #[must_use]
    pub const fn of(signal: i32) -> Self {
        Self {
            si_signo: signal,
            si_errno: 0,
            si_code: 0,
            si_pid: 0,
            si_uid: 0,
            si_status: 0,
        }
    }
}

/// time.h; tv_nsec is a long.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct timespec {
    pub tv_sec: i64,
    pub tv_nsec: core::ffi::c_long,
}

/// time.h
pub type clock_t = i64;

/// time.h: what clock(3) counts in.
pub const CLOCKS_PER_SEC: i64 = 1_000_000_000;

/// sys/times.h
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tms {
    pub tms_utime: clock_t,
    pub tms_stime: clock_t,
    pub tms_cutime: clock_t,
    pub tms_cstime: clock_t,
}

/// sys/select.h: a list, not Linux's bitmap.
#[repr(C)]
pub struct fd_set {
    pub count: usize,
    pub fds: [c_int; FD_SETSIZE as usize],
}

// sys/resource.h
pub const RUSAGE_SELF: i32 = 0;
pub const RUSAGE_CHILDREN: i32 = -1;
pub const RLIMIT_CPU: i32 = 0;
pub const RLIMIT_STACK: i32 = 3;
pub const RLIMIT_CORE: i32 = 4;
pub const RLIMIT_NOFILE: i32 = 7;
pub const RLIMIT_AS: i32 = 9;
pub const RLIMIT_MSGQUEUE: i32 = 12;
pub const RLIMIT_NICE: i32 = 13;
pub const RLIMIT_RTPRIO: i32 = 14;
pub const RLIMIT_RTTIME: i32 = 15;
pub const RLIM_INFINITY: u64 = 0xffff_ffff_ffff_ffff;

/// sys/resource.h
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct rlimit {
    pub rlim_cur: u64,
    pub rlim_max: u64,
}

/// sys/resource.h
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rusage {
    pub ru_utime: timeval,
    pub ru_stime: timeval,
    pub ru_maxrss: core::ffi::c_long,
    pub ru_ixrss: core::ffi::c_long,
    pub ru_idrss: core::ffi::c_long,
    pub ru_isrss: core::ffi::c_long,
    pub ru_minflt: core::ffi::c_long,
    pub ru_majflt: core::ffi::c_long,
    pub ru_nswap: core::ffi::c_long,
    pub ru_inblock: core::ffi::c_long,
    pub ru_oublock: core::ffi::c_long,
    pub ru_msgsnd: core::ffi::c_long,
    pub ru_msgrcv: core::ffi::c_long,
    pub ru_nsignals: core::ffi::c_long,
    pub ru_nvcsw: core::ffi::c_long,
    pub ru_nivcsw: core::ffi::c_long,
}

// sys/wait.h
pub const WNOHANG: i32 = 1;
pub const WUNTRACED: i32 = 2;
pub const WEXITED: i32 = 4;
pub const WCONTINUED: i32 = 8;
pub const WNOWAIT: i32 = 0x100_0000;
pub const P_ALL: i32 = 0;
pub const P_PID: i32 = 1;
pub const P_PGID: i32 = 2;

/// pwd.h
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct passwd {
    pub pw_name: *mut c_char,
    pub pw_passwd: *mut c_char,
    pub pw_uid: u32,
    pub pw_gid: u32,
    pub pw_gecos: *mut c_char,
    pub pw_dir: *mut c_char,
    pub pw_shell: *mut c_char,
}

/// grp.h
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct group {
    pub gr_name: *mut c_char,
    pub gr_passwd: *mut c_char,
    pub gr_gid: u32,
    pub gr_mem: *mut *mut c_char,
}

// syslog.h
pub const LOG_USER: i32 = 8;
pub const LOG_PRIMASK: i32 = 7;
pub const LOG_FACMASK: i32 = 0x3f8;
pub const LOG_PID: i32 = 1;
pub const LOG_PERROR: i32 = 0x20;

// termios.h
pub const NCCS: i32 = 32;
pub const TCSAFLUSH: i32 = 2;
pub const TCIOFLUSH: i32 = 2;
pub const TCION: i32 = 3;
pub const CBAUD: u32 = 0x100f;
pub const BRKINT: u32 = 0x2;
pub const PARMRK: u32 = 0x8;
pub const IGNBRK: u32 = 0x1;
pub const ISTRIP: u32 = 0x20;
pub const INLCR: u32 = 0x40;
pub const IGNCR: u32 = 0x80;
pub const ICRNL: u32 = 0x100;
pub const IXON: u32 = 0x400;
pub const OPOST: u32 = 0x1;
pub const CSIZE: u32 = 0x30;
pub const CS8: u32 = 0x30;
pub const PARENB: u32 = 0x100;
pub const ISIG: u32 = 0x1;
pub const ICANON: u32 = 0x2;
pub const ECHO: u32 = 0x8;
pub const ECHONL: u32 = 0x40;
pub const IEXTEN: u32 = 0x8000;
pub const VTIME: i32 = 5;
pub const VMIN: i32 = 6;

/// termios.h
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct termios {
    pub c_iflag: u32,
    pub c_oflag: u32,
    pub c_cflag: u32,
    pub c_lflag: u32,
    pub c_line: u8,
    pub c_cc: [u8; NCCS as usize],
    pub c_ispeed: u32,
    pub c_ospeed: u32,
}
