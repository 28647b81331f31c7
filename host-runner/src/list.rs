//! The lists of grants, declared once: flags, keys of a policy file and error messages take their names from
//! here.

/// Declares an enum of flags: of each its documentation, variant, name, what stands for the value in a usage line, and a
/// line of help.
macro_rules! flags {
    (
        $(#[doc = $type_doc:literal])+
        $type:ident {
            $($(#[doc = $doc:expr])+ $flag:ident = $name:expr, $placeholder:expr, $help:expr;)+
        }
    ) => {
        $(#[doc = $type_doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $($(#[doc = $doc])+ $flag,)+
        }

        impl $type {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$flag,)+];

            /// The name of the flag, without its dashes, of the key of a policy file and in events. It does not
            /// change.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$flag => $name,)+ }
            }

            /// What stands for the value in a usage line: `SIZE`, `RULE,...`.
            #[must_use]
            pub const fn placeholder(self) -> &'static str {
                match self { $(Self::$flag => $placeholder,)+ }
            }

            /// One line of help for the flag.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$flag => $help,)+ }
            }

            /// The one with this name, if there is one.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|flag| flag.name() == name)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use flags;

flags! {
    /// A list in a set of grants: a flag of the command that can be given more than once, and a key of a policy file.
    List {
        /// Where the guest may connect and send: [`Policy::allow`](crate::Policy::allow).
        AllowNet = "allow-net", "RULE,...",
            "Let the guest reach these hosts, or all";
        /// Where the guest may not connect or send: [`Policy::deny`](crate::Policy::deny).
        DenyNet = "deny-net", "RULE,...",
            "Keep the guest from these hosts, or from all, whatever else is allowed";
        /// Where the guest may bind and listen: [`Policy::allow_listen`](crate::Policy::allow_listen).
        AllowListen = "allow-listen", "RULE,...",
            "Let the guest listen here, or anywhere";
        /// Where the guest may not bind or listen: [`Policy::deny_listen`](crate::Policy::deny_listen).
        DenyListen = "deny-listen", "RULE,...",
            "Keep the guest from listening here, or anywhere";
        /// What the guest may look up without reaching it: [`Policy::allow_lookup`](crate::Policy::allow_lookup).
        AllowLookup = "allow-lookup", "HOST,...",
            "Let the guest look up these names, or all; this does not let it connect";
        /// What the guest may not look up: [`Policy::deny_lookup`](crate::Policy::deny_lookup).
        DenyLookup = "deny-lookup", "HOST,...",
            "Keep the guest from looking up these names, or any";
        /// Fixed addresses of a name: [`Resolver::resolve`](crate::Resolver::resolve).
        Resolve = "resolve", "NAME:IP,...",
            "Give a name these addresses; without --dns, other names are unknown";
        /// The name servers to ask: [`Resolver::dns`](crate::Resolver::dns).
        Dns = "dns", "SERVER[:PORT],...",
            "Ask these name servers instead of the system's resolver (`system`)";
    }
}
