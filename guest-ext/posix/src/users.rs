//! The files of users and groups: passwd(5), group(5).

/// A line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: Vec<u8>,
    pub(crate) password: Vec<u8>,
    pub(crate) id: u32,
    pub(crate) group: u32,
    pub(crate) comment: Vec<u8>,
    pub(crate) home: Vec<u8>,
    pub(crate) shell: Vec<u8>,
}

/// A line of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: Vec<u8>,
    pub(crate) password: Vec<u8>,
    pub(crate) id: u32,
    pub(crate) members: Vec<Vec<u8>>,
}

/// A line of one of the files.
pub(crate) trait Line: Sized {
    /// `None` for another line, such as a comment or one of NIS.
    fn parse(line: &[u8]) -> Option<Self>;
    fn id(&self) -> u32;
    fn name(&self) -> &[u8];
}

fn number(text: &[u8]) -> Option<u32> {
    str::from_utf8(text).ok()?.parse().ok()
}

impl Line for User {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b':');
        let mut next = || fields.next();
        let user = Self {
            name: next().filter(|name| !name.is_empty())?.to_vec(),
            password: next()?.to_vec(),
            id: number(next()?)?,
            group: number(next()?)?,
            comment: next()?.to_vec(),
            home: next()?.to_vec(),
            shell: next()?.to_vec(),
        };
        next().is_none().then_some(user)
    }

    fn id(&self) -> u32 {
        self.id
    }

    fn name(&self) -> &[u8] {
        &self.name
    }
}

impl Line for Group {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b':');
        let mut next = || fields.next();
        let group = Self {
            name: next().filter(|name| !name.is_empty())?.to_vec(),
            password: next()?.to_vec(),
            id: number(next()?)?,
            members: next()?
                .split(|byte| *byte == b',')
                .filter(|member| !member.is_empty())
                .map(<[u8]>::to_vec)
                .collect(),
        };
        next().is_none().then_some(group)
    }

    fn id(&self) -> u32 {
        self.id
    }

    fn name(&self) -> &[u8] {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, Line as _, User};

    #[test]
    fn lines_of_users_are_parsed() {
        let user = User::parse(b"ann:x:1001:100:Ann,,:/home/ann:/bin/sh").unwrap();
        assert_eq!((user.id, user.group), (1001, 100));
        assert_eq!((user.name(), user.id()), (&b"ann"[..], 1001));
        assert_eq!(user.home, b"/home/ann");
        assert_eq!(User::parse(b"ann::0:0:::").unwrap().shell, b"");
    }

    #[test]
    fn members_of_groups_are_a_list() {
        let group = Group::parse(b"staff:x:50:ann,bob").unwrap();
        assert_eq!(group.members, [&b"ann"[..], b"bob"]);
        assert!(Group::parse(b"user:x:1000:").unwrap().members.is_empty());
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "# comment",
            "+::::::",
            "ann:x:one:100:::",
            "ann:x:-1:100:::",
            "ann:x:1:1::/home",
            "ann:x:1:1::/home:/bin/sh:more",
            ":x:1:1:::",
        ] {
            assert_eq!(User::parse(line.as_bytes()), None, "{line}");
        }
        for line in ["", "+:::", "staff:x:50", "staff:x::", "staff:x:50:a:b"] {
            assert_eq!(Group::parse(line.as_bytes()), None, "{line}");
        }
    }
}
