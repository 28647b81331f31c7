//! The hosts that pip has to reach, as rules.

use std::net::{IpAddr, SocketAddr};

use tracing::debug;
use url::{Host, Url};
use wasisocket_host::Resolver;

/// The line of pip/_internal/models/index.py with [`DefaultIndex`].
const DEFAULT_INDEX: &str = "PyPI = PackageIndex(";

/// Where pip looks and fetches unless it is told otherwise, as pip itself has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DefaultIndex {
    index: String,
    /// The URL of the host of the files that are in it.
    files: String,
}

impl DefaultIndex {
    /// From pip's source; `None` if it is not written as it used to be.
    pub(super) fn from_source(source: &str) -> Option<Self> {
        let line = source
            .lines()
            .find(|line| line.starts_with(DEFAULT_INDEX))?;
        let mut texts = line.split('"').skip(1).step_by(2);
        let index = texts.next()?.to_owned();
        let files = format!("https://{}/", texts.next()?);
        Some(Self { index, files })
    }
}

/// What the user named, as URLs.
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
    /// The rules that let the guest reach all of it, each for one port.
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

/// A name covers public addresses only, but networks answer for names with addresses of their own: an
/// organisation's index, its proxy, or its mirror of a public index. Those are granted as the guest's resolver
/// knows them before it runs, so that no later answer leads anywhere else.
fn rules_for(url: &str, resolver: &Resolver) -> Vec<String> {
    // A proxy may be written without.
    let url = match url.contains("://") {
        true => Url::parse(url),
        false => Url::parse(&format!("http://{url}")),
    };
    let url = url.ok().filter(|url| url.scheme() != "file");
    let Some((host, port)) = url
        .as_ref()
        .and_then(|url| url.host().zip(url.port_or_known_default()))
    else {
        debug!("no host to be reached in a URL of pip's");
        return Vec::new();
    };
    let mut rules = vec![format!("{host}:{port}")];
    if let Host::Domain(name) = host {
        // One that has no address is pip's to report.
        let addresses = resolver.addresses(name).into_iter();
        rules.extend(
            addresses
                .filter(|ip| is_of_network(*ip))
                .map(|ip| SocketAddr::new(ip, port).to_string()),
        );
    }
    rules
}

/// Is it an address that networks give to servers of their own? Not this machine's, nor its link's, nor those
/// at which clouds have their metadata.
fn is_of_network(ip: IpAddr) -> bool {
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
    use super::{DefaultIndex, Reach, is_of_network};
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
    fn address_of_the_network_is_that_which_the_guest_would_be_told() {
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
    fn name_leads_to_no_address_of_this_machine() {
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
            assert_eq!(is_of_network(text.parse().unwrap()), is, "{text}");
        }
        let reach = Reach {
            index: Some("https://localhost:8443/".into()),
            ..Reach::default()
        };
        // Which is a rule for loopback, and was meant.
        assert_eq!(reach.rules(&Resolver::new()), ["localhost:8443"]);
    }
}
