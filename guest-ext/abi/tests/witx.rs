//! `wasisocket.witx` says the same as the table of imports.
//!
//! With `WASISOCKET_WRITE_WITX=1` in the environment, the test writes the file instead of comparing it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use wasisocket_abi::v1::{
    self, ADDRESS_STRUCTS, CRYPTO_NUMBERS, CRYPTO_STRUCTS, FILES_NUMBERS, FILES_STRUCTS, NUMBERS,
    OTHER_STRUCTS, RIGHTS_NUMBERS, RIGHTS_STRUCTS, SocketOption,
};
use wasisocket_abi::{
    CORE_IMPORTS, CORE_NUMBERS, CORE_STRUCTS, Errno, Import, Parameter, Role, Struct,
};

const HEADER: &str = "\
;; The host ABI of wasisocket, for those who write a host: the core six and wasisocket_v1.
;; Written by a test from the table in src/imports.rs, which says how to read it (see also src/lib.rs).
;; Write it anew with: WASISOCKET_WRITE_WITX=1 cargo test -p wasisocket-abi --test witx
;;
;; Pointers need no alignment. Where witx has no word for it: a const_pointer whose name is followed by a
;; length is an array of that many elements, pointers that may be null say so, and functions write
;; through the pointers that are results only if they return 0.

;;; 0, or an error in Linux numbering.
(typename $errno u32)
;;; A socket, an interest set or a look-up.
(typename $handle u32)
;;; Nanoseconds: 0 does not wait, a negative number waits without end.
(typename $timeout s64)
;;; How many elements the pointer before it points to.
(typename $length u32)
;;; A number of its own.
(typename $number u32)
";

/// `CoreSocketAddr` as `core_socket_addr`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// A type of Rust in witx.
fn type_name(ty: &str) -> String {
    match ty {
        "u8" | "u16" | "u32" | "u64" => ty.to_owned(),
        "i32" => "s32".to_owned(),
        "i64" => "s64".to_owned(),
        _ => match array_length(ty) {
            Some(length) => format!("$bytes_{length}"),
            None => format!("${}", snake_case(ty)),
        },
    }
}

fn array_length(ty: &str) -> Option<usize> {
    let length = ty.strip_prefix("[u8; ")?.strip_suffix(']')?;
    length.parse().ok()
}

fn comment(text: &mut String, indent: &str, doc: &[&str]) {
    for line in doc {
        writeln!(text, "{indent};;;{}", without_links(line)).unwrap();
    }
}

/// A line of documentation without the links that only rustdoc can follow.
fn without_links(line: &str) -> String {
    let mut parts = line.split('[');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (shown, rest) = part.split_once(']').unwrap();
        let rest = rest
            .strip_prefix('(')
            .map_or(rest, |link| link.split_once(')').unwrap().1);
        text.extend([shown, rest]);
    }
    text
}

/// Arrays are tuples: witx has no other word for them.
fn arrays(text: &mut String, structs: &[&Struct]) {
    let fields = structs.iter().flat_map(|one| one.fields);
    let lengths: BTreeSet<_> = fields.filter_map(|field| array_length(field.ty)).collect();
    for length in lengths {
        write!(text, "(typename $bytes_{length} (tuple").unwrap();
        for at in 0..length {
            text.push_str(if at % 16 == 0 { "\n  u8" } else { " u8" });
        }
        text.push_str("))\n");
    }
}

fn record(text: &mut String, one: &Struct) {
    text.push('\n');
    comment(text, "", one.doc);
    writeln!(text, "(typename {}", type_name(one.name)).unwrap();
    text.push_str("  (record\n");
    for field in one.fields {
        comment(text, "    ", field.doc);
        writeln!(text, "    (field ${} {})", field.name, type_name(field.ty)).unwrap();
    }
    text.push_str("  )\n)\n");
}

fn parameter(parameter: &Parameter) -> String {
    let ty = type_name(parameter.ty);
    let kind = match parameter.role {
        Role::Number if parameter.ty == "u32" => "$number".to_owned(),
        Role::Number => ty,
        Role::Length => "$length".to_owned(),
        Role::In | Role::InOrNull => format!("(@witx const_pointer {ty})"),
        Role::InOut | Role::OutOrNull | Role::Result => format!("(@witx pointer {ty})"),
    };
    let note = match parameter.role {
        Role::InOrNull | Role::OutOrNull => " ;; may be null",
        Role::Result => " ;; result",
        _ => "",
    };
    format!("    (param ${} {kind}){note}\n", parameter.name)
}

fn module(text: &mut String, name: &str, imports: &[Import]) {
    writeln!(text, "\n(module ${name}").unwrap();
    text.push_str("  (import \"memory\" (memory))\n");
    for import in imports {
        text.push('\n');
        comment(text, "  ", import.doc);
        if import.waits {
            text.push_str("  ;;; It may wait.\n");
        }
        writeln!(text, "  (@interface func (export \"{}\")", import.name).unwrap();
        for one in import.parameters {
            text.push_str(&parameter(one));
        }
        text.push_str("    (result $error $errno)\n  )\n");
    }
    text.push_str(")\n");
}

fn constants<'a>(text: &mut String, ty: &str, named: impl Iterator<Item = (&'a str, u64)>) {
    text.push('\n');
    for (name, value) in named {
        let name = name.to_lowercase();
        writeln!(text, "(@witx const ${ty} ${name} {value})").unwrap();
    }
}

fn written() -> String {
    let structs: Vec<_> = [
        CORE_STRUCTS,
        ADDRESS_STRUCTS,
        OTHER_STRUCTS,
        RIGHTS_STRUCTS,
        FILES_STRUCTS,
        CRYPTO_STRUCTS,
    ]
    .into_iter()
    .flatten()
    .collect();
    let numbers = [
        CORE_NUMBERS,
        NUMBERS,
        RIGHTS_NUMBERS,
        FILES_NUMBERS,
        CRYPTO_NUMBERS,
    ];
    let options = SocketOption::NAMED.iter();
    let mut text = HEADER.to_owned();
    arrays(&mut text, &structs);
    constants(
        &mut text,
        "errno",
        Errno::NAMED
            .iter()
            .map(|&(errno, name)| (name, errno.0.into())),
    );
    constants(&mut text, "number", numbers.into_iter().flatten().copied());
    text.push_str("\n;;; An option of sock_getsockopt and sock_setsockopt: src/v1/option.rs.\n");
    text.push_str("(typename $option u32)\n");
    constants(
        &mut text,
        "option",
        options.map(|&(option, name)| (name, option.0.into())),
    );
    for one in structs {
        record(&mut text, one);
    }
    text.push_str("\n;;; A piece of guest memory to send from.\n(typename $ciovec $iovec)\n");
    module(&mut text, "core_six", CORE_IMPORTS);
    module(&mut text, "wasisocket_v1", v1::IMPORTS);
    text
}

#[test]
fn file_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasisocket.witx");
    if env::var_os("WASISOCKET_WRITE_WITX").is_some() {
        fs::write(&path, written()).unwrap();
    }
    let file = fs::read_to_string(&path).unwrap();
    assert!(
        file == written(),
        "write it anew: WASISOCKET_WRITE_WITX=1 cargo test -p wasisocket-abi --test witx"
    );
}
