//! The hosts that pip needs to reach, as rules.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use tracing::debug;
use url::{Host, Url};
use wasisocket_host::Resolver;
use wasisocket_python::Distribution;

/// The file of pip that knows its index.
const SOURCE: &str = "site-packages/pip/_internal/models/index.py";

/// The line of it with [`DefaultIndex`].
const DEFAULT_INDEX: &str = "PyPI = PackageIndex(";

/// pip's default index, read from pip's own source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DefaultIndex {
    index: String,
    /// The URL of the host that has its files.
    files: String,
}

impl DefaultIndex {
    /// That of a distribution's pip.
    pub(super) fn find(distribution: &Distribution) -> Option<Self> {
        let file = distribution.library_file(SOURCE)?;
        Self::from_source(&fs::read_to_string(file).ok()?)
    }

    /// Parses pip's source; `None` if it has another form than in the versions that are known.
    fn from_source(source: &str) -> Option<Self> {
        let line = source
            .lines()
            .find(|line| line.starts_with(DEFAULT_INDEX))?;
        let mut texts = line.split('"').skip(1).step_by(2);
        let index = texts.next()?.to_owned();
        let files = format!("https://{}/", texts.next()?);
        Some(Self { index, files })
    }
}

/// The URLs that the user named.
#[derive(Debug, Default)]
pub(super) struct Reach {
    pub(super) default_index: Option<DefaultIndex>,
    pub(super) index: Option<String>,
    pub(super) extra_indexes: Vec<String>,
    pub(super) no_index: bool,
    pub(super) links: Vec<String>,
    pub(super) proxies: Vec<String>,
}

impl Reach {
    /// The rules that let the guest reach them, each for one port.
    pub(super) fn rules(&self, resolver: &Resolver) -> Vec<String> {
        let urls = self.urls().into_iter();
        let mut rules: Vec<_> = urls.flat_map(|url| rules_for(url, resolver)).collect();
        rules.sort();
        rules.dedup();
        rules
    }

    fn urls(&self) -> Vec<&str> {
        let mut urls: Vec<_> = self
            .links
            .iter()
            .chain(&self.proxies)
            .map(String::as_str)
            .collect();
        if !self.no_index {
            let default = self.default_index.as_ref().map(|known| &known.index);
            urls.extend(self.index.as_ref().or(default).map(String::as_str));
            urls.extend(self.extra_indexes.iter().map(String::as_str));
        }
        if let Some(DefaultIndex { index, files }) = &self.default_index
            && urls.iter().any(|url| url.starts_with(index.as_str()))
        {
            urls.push(files);
        }
        urls
    }
}

/// The rules for one URL. A rule for a name covers public addresses only, but in many networks names have private
/// addresses: an organisation's index, its proxy, or its mirror of a public index. These addresses are looked up and
/// granted before the guest runs, so that no later answer can lead elsewhere.
fn rules_for(url: &str, resolver: &Resolver) -> Vec<String> {
    // A proxy may be written without a scheme.
    let url = match url.contains("://") {
        true => Url::parse(url),
        false => Url::parse(&format!("http://{url}")),
    };
    let url = url.ok().filter(|url| url.scheme() != "file");
    let Some((host, port)) = url
        .as_ref()
        .and_then(|url| url.host().zip(url.port_or_known_default()))
    else {
        debug!("a URL of pip's names no host to reach");
        return Vec::new();
    };
    let mut rules = vec![format!("{host}:{port}")];
    if let Host::Domain(name) = host {
        // pip reports a name without an address.
        let addresses = resolver.addresses(name).into_iter();
        rules.extend(
            addresses
                .filter(|ip| is_private_server(*ip))
                .map(|ip| SocketAddr::new(ip, port).to_string()),
        );
    }
    rules
}

/// Whether networks use such addresses for their own servers. This machine's addresses, link-local ones and those of
/// cloud metadata services do not count.
fn is_private_server(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = matches!(ip.octets(), [100, 64..=127, ..]); // RFC 6598
            let benchmarking = matches!(ip.octets(), [198, 18 | 19, ..]); // RFC 2544
            ip.is_private() || shared || benchmarking || ip.is_documentation()
        }
        // Amazon's metadata are at fd00:ec2::254.
        IpAddr::V6(ip) => ip.is_unique_local() && ip.segments()[..2] != [0xfd00, 0xec2],
    }
}

#[cfg(test)]
mod tests {
    use super::{DefaultIndex, Reach, is_private_server};
    use wasisocket_host::Resolver;

    #[test]
    fn default_index_is_reached_with_its_files() {
        let source = "class PackageIndex:\n    pass\n\n\n\
            PyPI = PackageIndex(\"https://192.0.2.1/\", file_storage_domain=\"192.0.2.2\")\n\
            TestPyPI = PackageIndex(\n    \"https://192.0.2.3/\")\n";
        for index in [None, Some("https://192.0.2.1/simple".to_owned())] {
            let reach = Reach {
                default_index: DefaultIndex::from_source(source),
                index,
                ..Reach::default()
            };
            assert_eq!(
                reach.rules(&Resolver::new()),
                ["192.0.2.1:443", "192.0.2.2:443"]
            );
        }
        assert_eq!(DefaultIndex::from_source("PyPI = PackageIndex("), None);
    }

    #[test]
    fn each_url_is_one_host_and_port() {
        let reach = Reach {
            index: Some("https://user:secret@192.0.2.1/simple".into()),
            extra_indexes: vec!["http://[2001:db8::1]:8080/".into()],
            links: vec!["file:///wheels".into(), "https://192.0.2.1/".into()],
            proxies: vec!["192.0.2.2:3128".into()],
            ..Reach::default()
        };
        assert_eq!(
            reach.rules(&Resolver::new()),
            ["192.0.2.1:443", "192.0.2.2:3128", "[2001:db8::1]:8080"]
        );
    }

    #[test]
    fn without_index_none_is_reached() {
        let reach = Reach {
            no_index: true,
            index: Some("https://192.0.2.1/".into()),
            extra_indexes: vec!["https://192.0.2.2/".into()],
            ..Reach::default()
        };
        assert_eq!(reach.rules(&Resolver::new()), [""; 0]);
    }

    #[test]
    fn private_address_is_the_one_that_the_guest_would_look_up() {
        let reach = Reach {
            index: Some("https://index.test/simple".into()),
            ..Reach::default()
        };
        let resolver = Resolver::new().resolve("index.test:10.0.0.5,fd00::5,127.0.0.1");
        assert_eq!(
            reach.rules(&resolver.unwrap()),
            ["10.0.0.5:443", "[fd00::5]:443", "index.test:443"]
        );
    }

    #[test]
    fn no_address_of_this_machine_counts_as_private() {
        for (text, is) in [
            ("10.1.2.3", true),
            ("100.100.1.1", true),
            ("192.0.2.1", true),
            ("fd00::1", true),
            ("8.8.8.8", false),
            ("127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("64:ff9b::10.0.0.1", false),
            ("168.63.129.16", false),
            ("169.254.169.254", false),
            ("fd00:ec2::254", false),
            ("0.0.0.0", false),
            ("::1", false),
            ("fe80::1", false),
            ("2606:4700::1", false),
        ] {
            assert_eq!(is_private_server(text.parse().unwrap()), is, "{text}");
        }
        let reach = Reach {
            index: Some("https://localhost:8443/".into()),
            ..Reach::default()
        };
        // This is a rule for loopback, which the user asked for.
        assert_eq!(reach.rules(&Resolver::new()), ["localhost:8443"]);
    }
}
