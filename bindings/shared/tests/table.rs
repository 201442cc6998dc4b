//! `tests/contract/native.txt`: what the tables of the bindings contain, for the tests of the languages that are made from them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;
use std::path::Path;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Name in Rust and in JavaScript, and how many arguments.
fn row(owner: &str, name: &str, js: &[&str], arguments: &[&str]) {
    let js = js.first().map_or(name, |js| js.trim_matches('"'));
    LINES.with(|lines| lines.borrow_mut().push(format!("{owner}.{name} {js} {}", arguments.len())));
}

macro_rules! table {
    (class $class:ident[$($inner:tt)+] as $this:ident { $($rows:tt)* }) => {
        table! { extend $class as $this { $($rows)* } }
    };
    (extend $class:ident as $this:ident {
        $(new($($new_arg:ident: $(&$new_class:ident)? $($new_kind:ident)?),*) $new:block)?
        $(static $make:ident $(= $make_js:literal)? (
            $($make_arg:ident: $(&$make_class:ident)? $($make_kind:ident)?),*
        ) -> [$($made:tt)+] $make_body:block)*
        $(fn $name:ident $(= $js:literal)? (
            $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
        ) -> [$($shown:tt)+] $body:block)*
    }) => {
        $(row(stringify!($class), "new", &["constructor"], &[$(stringify!($new_arg)),*]);)?
        $(row(stringify!($class), stringify!($make), &[$(stringify!($make_js))?], &[$(stringify!($make_arg)),*]);)*
        $(row(stringify!($class), stringify!($name), &[$(stringify!($js))?], &[$(stringify!($arg)),*]);)*
    };
    (fn $name:ident $(= $js:literal)? (
        $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
    ) -> [$($shown:tt)+] $body:block) => {
        row("", stringify!($name), &[$(stringify!($js))?], &[$(stringify!($arg)),*]);
    };
}

#[test]
fn the_tables_are_on_record() {
    let tables: [(&str, fn()); 9] = [
        ("thumbprints", || {
            keybound_ffi::thumbprints!(table);
        }),
        ("proofs", || {
            keybound_ffi::proofs!(table);
        }),
        ("key_files", || {
            keybound_ffi::key_files!(table);
        }),
        ("flows", || {
            keybound_ffi::flows!(table);
        }),
        ("client", || {
            keybound_ffi::client!(table);
        }),
        ("grants", || {
            keybound_ffi::grants!(table);
        }),
        ("folders", || {
            keybound_ffi::folders!(table);
        }),
        ("advice", || {
            keybound_ffi::advice!(table);
        }),
        ("servers", || {
            keybound_ffi::servers!(table);
        }),
    ];
    let mut record =
        String::from("# Written by a test: KEYBOUND_WRITE_API=1 cargo test -p keybound-ffi --test table\n");
    for (name, rows) in tables {
        rows();
        let lines = LINES.with(RefCell::take);
        record.push_str(&format!("[{name}]\n{}\n", lines.join("\n")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/contract/native.txt");
    if std::env::var_os("KEYBOUND_WRITE_API").is_some() {
        std::fs::write(&path, &record).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(recorded, record, "run with KEYBOUND_WRITE_API=1 if that is meant");
}
