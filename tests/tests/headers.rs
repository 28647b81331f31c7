//! The C headers in `cpython-patch/include` and their Rust twin, `guest-ext/posix/src/sys.rs`, agree.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All headers that declare something of sys.rs.
const INCLUDES: &str = "\
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
";

#[test]
fn constants_of_rust_and_c_are_the_same() {
    let rust = rust();
    let constants = constants(&rust);
    assert!(constants.len() > 50, "{constants:?}");
    let mut checks = String::new();
    for (name, value) in constants {
        // The value as text: without the separators, C reads it as Rust does.
        let _ = writeln!(
            checks,
            "_Static_assert({name} == {value}, \"sys.rs has {value}\");"
        );
    }
    compile(&checks);
}

#[test]
fn structs_of_rust_and_c_have_the_same_layout() {
    let rust = rust();
    let structs = structs(&rust);
    assert!(structs.len() > 5, "{structs:?}");
    let mut layouts = Layouts::new(constants(&rust));
    let mut checks = String::new();
    for (name, fields) in structs {
        let c = c_type(name);
        let mut size = 0_usize;
        let mut align = 1;
        for (field, kind) in fields {
            let of = layouts.of(kind);
            size = size.next_multiple_of(of.align);
            let field = c_field(name, field);
            let _ = writeln!(
                checks,
                "_Static_assert(offsetof({c}, {field}) == {size}, \"offset\");\n\
                 _Static_assert(sizeof((({c} *)0)->{field}) == {}, \"size\");",
                of.size
            );
            size += of.size;
            align = of.align.max(align);
        }
        size = size.next_multiple_of(align);
        let _ = writeln!(checks, "_Static_assert(sizeof({c}) == {size}, \"size\");");
        layouts
            .types
            .insert(name.to_owned(), Layout { size, align });
    }
    compile(&checks);
}

/// The functions that CPython and other programs call, with the types of their man pages. A header with another type
/// does not compile here.
#[test]
fn functions_are_declared() {
    compile(
        r#"
int (*const socket_)(int, int, int) = socket;
int (*const socketpair_)(int, int, int, int *) = socketpair;
int (*const bind_)(int, const struct sockaddr *, socklen_t) = bind;
int (*const listen_)(int, int) = listen;
int (*const accept_)(int, struct sockaddr *, socklen_t *) = accept;
int (*const accept4_)(int, struct sockaddr *, socklen_t *, int) = accept4;
int (*const connect_)(int, const struct sockaddr *, socklen_t) = connect;
int (*const shutdown_)(int, int) = shutdown;
int (*const getsockname_)(int, struct sockaddr *, socklen_t *) = getsockname;
int (*const getpeername_)(int, struct sockaddr *, socklen_t *) = getpeername;
int (*const getsockopt_)(int, int, int, void *, socklen_t *) = getsockopt;
int (*const setsockopt_)(int, int, int, const void *, socklen_t) = setsockopt;
ssize_t (*const send_)(int, const void *, size_t, int) = send;
ssize_t (*const recv_)(int, void *, size_t, int) = recv;
ssize_t (*const sendto_)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = sendto;
ssize_t (*const recvfrom_)(int, void *, size_t, int, struct sockaddr *, socklen_t *) = recvfrom;
ssize_t (*const sendmsg_)(int, const struct msghdr *, int) = sendmsg;
ssize_t (*const recvmsg_)(int, struct msghdr *, int) = recvmsg;
int (*const dup_)(int) = dup;
int (*const gethostname_)(char *, size_t) = gethostname;
int (*const sigaction_)(int, const struct sigaction *, struct sigaction *) = sigaction;
void (*(*const signal_)(int, void (*)(int)))(int) = signal;
int (*const kill_)(pid_t, int) = kill;
int (*const pthread_kill_)(pthread_t, int) = pthread_kill;
int (*const pthread_sigmask_)(int, const sigset_t *, sigset_t *) = pthread_sigmask;
int (*const sigsuspend_)(const sigset_t *) = sigsuspend;
int (*const sigwait_)(const sigset_t *, int *) = sigwait;
int (*const sigtimedwait_)(const sigset_t *, siginfo_t *, const struct timespec *) = sigtimedwait;
unsigned (*const alarm_)(unsigned) = alarm;
int (*const pause_)(void) = pause;
int (*const getitimer_)(int, struct itimerval *) = getitimer;
int (*const setitimer_)(int, const struct itimerval *, struct itimerval *) = setitimer;
int (*const poll_)(struct pollfd *, nfds_t, int) = poll;
int (*const epoll_create_)(int) = epoll_create;
int (*const epoll_create1_)(int) = epoll_create1;
int (*const epoll_ctl_)(int, int, int, struct epoll_event *) = epoll_ctl;
int (*const epoll_wait_)(int, struct epoll_event *, int, int) = epoll_wait;
int (*const getaddrinfo_)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = getaddrinfo;
void (*const freeaddrinfo_)(struct addrinfo *) = freeaddrinfo;
const char *(*const gai_strerror_)(int) = gai_strerror;
int (*const getnameinfo_)(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int) = getnameinfo;
struct hostent *(*const gethostbyname_)(const char *) = gethostbyname;
struct hostent *(*const gethostbyaddr_)(const void *, socklen_t, int) = gethostbyaddr;
const char *(*const hstrerror_)(int) = hstrerror;
int *h_errno_(void) { return &h_errno; }
struct servent *(*const getservbyname_)(const char *, const char *) = getservbyname;
struct servent *(*const getservbyport_)(int, const char *) = getservbyport;
struct protoent *(*const getprotobyname_)(const char *) = getprotobyname;
struct if_nameindex *(*const if_nameindex_)(void) = if_nameindex;
void (*const if_freenameindex_)(struct if_nameindex *) = if_freenameindex;
unsigned int (*const if_nametoindex_)(const char *) = if_nametoindex;
char *(*const if_indextoname_)(unsigned int, char *) = if_indextoname;
char *(*const inet_ntoa_)(struct in_addr) = inet_ntoa;
struct passwd *(*const getpwuid_)(uid_t) = getpwuid;
int (*const getpwnam_r_)(const char *, struct passwd *, char *, size_t, struct passwd **) = getpwnam_r;
struct group *(*const getgrnam_)(const char *) = getgrnam;
int (*const getgrgid_r_)(gid_t, struct group *, char *, size_t, struct group **) = getgrgid_r;
int (*const getgroups_)(int, gid_t *) = getgroups;
int (*const getrlimit_)(int, struct rlimit *) = getrlimit;
int (*const setrlimit_)(int, const struct rlimit *) = setrlimit;
int (*const getrusage_)(int, struct rusage *) = getrusage;
pid_t (*const waitpid_)(pid_t, int *, int) = waitpid;
int (*const waitid_)(idtype_t, id_t, siginfo_t *, int) = waitid;
pid_t (*const getpgid_)(pid_t) = getpgid;
int (*const sched_getaffinity_)(pid_t, size_t, cpu_set_t *) = sched_getaffinity;
sem_t *(*const sem_open_)(const char *, int, ...) = sem_open;
int (*const tcgetattr_)(int, struct termios *) = tcgetattr;
int (*const tcsetattr_)(int, int, const struct termios *) = tcsetattr;
void (*const syslog_)(int, const char *, ...) = syslog;

_Static_assert(sizeof(struct sockaddr_storage) >= sizeof(struct sockaddr_un), "room for a path");
_Static_assert(_Alignof(struct sockaddr_storage) >= _Alignof(struct sockaddr_in6), "alignment");
_Static_assert(CMSG_SPACE(1) == CMSG_LEN(0) + sizeof(size_t), "cmsg(3)");
struct cmsghdr *second(struct msghdr *message)
{
    struct cmsghdr *first = CMSG_FIRSTHDR(message);
    return first && CMSG_DATA(first) ? CMSG_NXTHDR(message, first) : first;
}
"#,
    );
}

/// Compiles the checks with and without the GNU extensions. The compiler's message names a check that fails.
fn compile(checks: &str) {
    let sdk = env::var_os("WASISOCKET_SDK")
        .expect("WASISOCKET_SDK is not set: run the tests with `cargo xtask test`");
    let sdk = PathBuf::from(sdk);
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checks.c");
    fs::write(&source, format!("{INCLUDES}\n{checks}")).unwrap();
    for flags in [&["-D_GNU_SOURCE"], &["-std=c11"]] {
        let output = Command::new(sdk.join("bin/clang"))
            .arg(format!(
                "--sysroot={}",
                sdk.join("share/wasi-sysroot").display()
            ))
            .args([
                "-fsyntax-only",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-D_WASI_EMULATED_MMAN",
                "-D_WASI_EMULATED_PROCESS_CLOCKS",
            ])
            .args(flags)
            // Not -isystem: warnings about the headers themselves count.
            .arg("-I")
            .arg(repository().join("cpython-patch/include"))
            .arg(&source)
            .output()
            .expect("the SDK's clang starts");
        assert!(
            output.status.success(),
            "{flags:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn rust() -> String {
    fs::read_to_string(repository().join("guest-ext/posix/src/sys.rs")).unwrap()
}

/// The names and values of lines such as `pub const AF_INET: i32 = 1;`.
fn constants(rust: &str) -> Vec<(&str, String)> {
    let constant = |line: &'_ str| -> Option<(usize, usize)> {
        let colon = line.find(':')?;
        let equals = line.find('=')?;
        (line.starts_with("pub const ") && line.ends_with(';')).then_some((colon, equals))
    };
    rust.lines()
        .filter_map(|line| {
            let (colon, equals) = constant(line)?;
            let value = line[equals + 1..line.len() - 1].trim().replace('_', "");
            Some((&line["pub const ".len()..colon], value))
        })
        .collect()
}

/// The names and fields of `pub struct`s, each field on a line of its own: `pub ai_flags: c_int,`.
fn structs(rust: &str) -> Vec<(&str, Vec<(&str, &str)>)> {
    let mut structs = Vec::new();
    let mut lines = rust.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line
            .strip_prefix("pub struct ")
            .and_then(|rest| rest.strip_suffix(" {"))
        else {
            continue;
        };
        let fields = lines
            .by_ref()
            .take_while(|line| *line != "}")
            .filter_map(|line| {
                line.trim()
                    .strip_prefix("pub ")?
                    .strip_suffix(',')?
                    .split_once(": ")
            });
        structs.push((name, fields.collect()));
    }
    structs
}

#[derive(Clone, Copy)]
struct Layout {
    size: usize,
    align: usize,
}

/// The C name of a struct of sys.rs.
fn c_type(name: &str) -> String {
    match name {
        "fd_set" | "siginfo_t" => name.to_owned(),
        _ => format!("struct {name}"),
    }
}

/// The C name of a struct's field: wasi-libc hides those of an fd_set.
fn c_field<'a>(name: &str, field: &'a str) -> &'a str {
    match (name, field) {
        ("fd_set", "count") => "__nfds",
        ("fd_set", "fds") => "__fds",
        _ => field,
    }
}

/// Sizes and alignments of field types on wasm32.
struct Layouts {
    types: BTreeMap<String, Layout>,
    /// For the lengths of arrays.
    constants: BTreeMap<String, String>,
}

impl Layouts {
    fn new(constants: Vec<(&str, String)>) -> Self {
        let known = [
            (1, "c_char u8 i8"),
            (2, "c_short u16 i16"),
            (4, "c_int c_uint c_long c_ulong u32 i32 usize socklen_t"),
            (8, "u64 i64 clock_t"),
        ];
        let types = known
            .into_iter()
            .flat_map(|(size, names)| names.split(' ').map(move |name| (size, name)))
            .map(|(size, name)| (name.to_owned(), Layout { size, align: size }));
        let constants = constants
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Self {
            types: types.collect(),
            constants: constants.collect(),
        }
    }

    fn of(&self, kind: &str) -> Layout {
        if kind.starts_with('*') {
            return Layout { size: 4, align: 4 };
        }
        if let Some((element, count)) = kind
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']')?.split_once("; "))
        {
            let Layout { size, align } = self.of(element);
            let count = count.strip_suffix(" as usize").unwrap_or(count);
            let count = self.constants.get(count).map_or(count, String::as_str);
            let count: usize = count.parse().expect("the length of an array");
            return Layout {
                size: size * count,
                align,
            };
        }
        let name = kind.rsplit("::").next().unwrap_or(kind);
        *self
            .types
            .get(name)
            .unwrap_or_else(|| panic!("this test does not know the type {kind}"))
    }
}
