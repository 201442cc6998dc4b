//! What is written from the tables of the bindings: `tests/contract/native.txt`, which languages compare with what they have, and the types
//! of the npm package (`pkg/npm/src/rows.ts`), and those of the Python package's module (`_keybound.pyi`).
//!
//! `KEYBOUND_WRITE_API=1 cargo test -p keybound-ffi --test table` writes them anew.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;
use std::fmt::Write;
use std::path::Path;

/// A method or a function: its name in Rust and in JavaScript, its arguments with their kinds, and its result.
struct Row {
    name: &'static str,
    js: &'static str,
    arguments: Vec<(&'static str, &'static str)>,
    result: &'static str,
    is_static: bool,
}

/// The rows of a class, or more of them; or functions.
struct Rows {
    class: &'static str,
    doc: Vec<&'static str>,
    extends: bool,
    rows: Vec<Row>,
}

thread_local! {
    static FOUND: RefCell<Vec<Rows>> = const { RefCell::new(Vec::new()) };
}

fn found(class: &'static str, doc: &[&'static str], extends: bool, rows: Vec<Row>) {
    FOUND.with(|found| found.borrow_mut().push(Rows { class, doc: doc.to_vec(), extends, rows }));
}

macro_rules! table {
    ($(#[doc = $doc:literal])* class $class:ident[$($inner:tt)+] as $this:ident { $($rows:tt)* }) => {
        table! { @rows $class, &[$($doc),*], false, { $($rows)* } }
    };
    (extend $class:ident as $this:ident { $($rows:tt)* }) => {
        table! { @rows $class, &[], true, { $($rows)* } }
    };
    (@rows $class:ident, $doc:expr, $extends:expr, {
        $(new($($new_arg:ident: $(&$new_class:ident)? $($new_kind:ident)?),*) $new:block)?
        $(static $make:ident $(= $make_js:literal)? (
            $($make_arg:ident: $(&$make_class:ident)? $($make_kind:ident)?),*
        ) -> [$($made:tt)+] $make_body:block)*
        $(fn $name:ident $(= $js:literal)? (
            $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
        ) -> [$($shown:tt)+] $body:block)*
    }) => {
        found(stringify!($class), $doc, $extends, vec![
            $(Row {
                name: "new",
                js: "new",
                arguments: vec![$((stringify!($new_arg), concat!($(stringify!($new_class))? $(stringify!($new_kind))?))),*],
                result: stringify!($class),
                is_static: true,
            },)?
            $(Row {
                name: stringify!($make),
                js: [stringify!($make) $(, $make_js)?].last().copied().unwrap_or_default(),
                arguments: vec![$((stringify!($make_arg), concat!($(stringify!($make_class))? $(stringify!($make_kind))?))),*],
                result: stringify!($($made)+),
                is_static: true,
            },)*
            $(Row {
                name: stringify!($name),
                js: [stringify!($name) $(, $js)?].last().copied().unwrap_or_default(),
                arguments: vec![$((stringify!($arg), concat!($(stringify!($arg_class))? $(stringify!($kind))?))),*],
                result: stringify!($($shown)+),
                is_static: false,
            },)*
        ]);
    };
    (fn $name:ident $(= $js:literal)? (
        $($arg:ident: $(&$arg_class:ident)? $($kind:ident)?),*
    ) -> [$($shown:tt)+] $body:block) => {
        found("", &[], false, vec![Row {
            name: stringify!($name),
            js: [stringify!($name) $(, $js)?].last().copied().unwrap_or_default(),
            arguments: vec![$((stringify!($arg), concat!($(stringify!($arg_class))? $(stringify!($kind))?))),*],
            result: stringify!($($shown)+),
            is_static: false,
        }]);
    };
}

/// All tables, by their names.
fn tables() -> Vec<(&'static str, Vec<Rows>)> {
    let tables: [(&str, fn()); 11] = [
        ("thumbprints", || {
            keybound_ffi::thumbprints!(table);
        }),
        ("proofs", || {
            keybound_ffi::proofs!(table);
        }),
        ("key_files", || {
            keybound_ffi::key_files!(table);
        }),
        ("stored_keys", || {
            keybound_ffi::stored_keys!(table);
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
        ("redis", || {
            keybound_ffi::redis!(table);
        }),
        ("servers", || {
            keybound_ffi::servers!(table);
        }),
    ];
    tables
        .map(|(name, rows)| {
            rows();
            (name, FOUND.with(RefCell::take))
        })
        .into()
}

/// Compares a file with what it has to be, or writes it.
fn on_record(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    if std::env::var_os("KEYBOUND_WRITE_API").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(recorded == text, "{file} is out of date; if that is meant: KEYBOUND_WRITE_API=1");
}

#[test]
fn the_rows_are_on_record() {
    let mut text = String::from("# Written by a test: KEYBOUND_WRITE_API=1 cargo test -p keybound-ffi --test table\n");
    for (name, rows) in tables() {
        writeln!(text, "[{name}]").unwrap();
        for Rows { class, rows, .. } in rows {
            for Row { name, js, arguments, .. } in rows {
                writeln!(text, "{class}.{name} {js} {}", arguments.len()).unwrap();
            }
        }
    }
    on_record("tests/contract/native.txt", &text);
}

/// A kind of value, and whether it can be missing.
fn unwrapped(kind: &str) -> (String, bool) {
    let kind = kind.replace(' ', "");
    match kind.strip_prefix("Option<").and_then(|inner| inner.strip_suffix('>')) {
        Some(inner) => (inner.to_owned(), true),
        None => match kind.strip_prefix("Optional") {
            Some(inner) => (inner.to_owned(), true),
            None => (kind, false),
        },
    }
}

/// A kind of value as TypeScript has it.
fn type_script(kind: &str, gives: bool) -> String {
    let (inner, is_optional) = unwrapped(kind);
    let known = match inner.as_str() {
        "Text" | "Verified" | "Refusal" => "string".to_owned(),
        "Texts" => "string[]".to_owned(),
        "Bytes" => "Uint8Array".to_owned(),
        "Number" => "number".to_owned(),
        "bool" => "boolean".to_owned(),
        "()" => "void".to_owned(),
        class => format!("Native{class}"),
    };
    match (is_optional, gives) {
        (false, _) => known,
        (true, true) => format!("{known} | undefined | null"),
        (true, false) => format!("{known} | undefined"),
    }
}

/// A snake_case name in JavaScript.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut text, word| {
        let mut letters = word.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text + letters.as_str()
    })
}

fn signature(row: &Row, optional: bool) -> String {
    let mark = if optional { "?" } else { "" };
    let arguments = row.arguments.iter().map(|(name, kind)| format!("{}: {}", camel(name), type_script(kind, false)));
    let arguments = arguments.collect::<Vec<_>>().join(", ");
    let name = if row.js == "new" { "new " } else { row.js };
    format!("{name}{mark}({arguments}): {};\n", type_script(row.result, true))
}

#[test]
fn the_types_of_the_npm_package_are_written_from_the_rows() {
    let mut text = String::from(
        "// Written by a test: KEYBOUND_WRITE_API=1 cargo test -p keybound-ffi --test table\n\
         // What the addon and the WASM builds export, from the tables of bindings/shared/src/table.rs. What is optional is not in all builds.\n\
         \nimport type { Freed, NativeIncoming, NativePresented } from './native.js';\n",
    );
    let tables = tables();
    let every: Vec<&Rows> = tables.iter().flat_map(|(_, rows)| rows).collect();
    for home in every.iter().filter(|rows| !rows.class.is_empty() && !rows.extends) {
        let class = home.class;
        let doc = home.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let all = || {
            every
                .iter()
                .filter(|rows| rows.class == class)
                .flat_map(|rows| rows.rows.iter().map(|row| (row, rows.extends)))
        };
        writeln!(text, "\n/** {doc} */\nexport interface Native{class} extends Freed {{").unwrap();
        if all().all(|(row, _)| row.is_static) {
            writeln!(text, "  readonly _{}?: never;", class.to_ascii_lowercase()).unwrap();
        }
        for (row, optional) in all().filter(|(row, _)| !row.is_static) {
            text.push_str("  ");
            text.push_str(&signature(row, optional));
        }
        text.push_str("}\n");
        if all().any(|(row, _)| row.is_static) {
            writeln!(text, "\nexport interface Native{class}Class {{").unwrap();
            for (row, optional) in all().filter(|(row, _)| row.is_static) {
                text.push_str("  ");
                text.push_str(&signature(row, optional));
            }
            text.push_str("}\n");
        }
    }
    for (name, rows) in &tables {
        let classes = rows.iter().filter(|rows| !rows.class.is_empty() && !rows.extends);
        let classes: Vec<_> = classes.filter(|rows| rows.rows.iter().any(|row| row.is_static)).collect();
        let functions: Vec<_> = rows.iter().filter(|rows| rows.class.is_empty()).flat_map(|rows| &rows.rows).collect();
        if classes.is_empty() && functions.is_empty() {
            continue;
        }
        let interface = camel(&format!("_{name}_rows"));
        writeln!(text, "\n/** The table `{name}`. */\nexport interface {interface} {{").unwrap();
        for Rows { class, .. } in classes {
            writeln!(text, "  {class}: Native{class}Class;").unwrap();
        }
        for row in functions {
            text.push_str("  ");
            text.push_str(&signature(row, false));
        }
        text.push_str("}\n");
    }
    on_record("pkg/npm/src/rows.ts", &text);
}

/// A kind of value as Python has it.
fn python(kind: &str) -> String {
    let (inner, is_optional) = unwrapped(kind);
    let known = match inner.as_str() {
        "Text" | "Refusal" => "str",
        "Texts" => "list[str]",
        "Bytes" => "bytes",
        "Number" => "int",
        "()" => "None",
        "Verified" => "tuple[str, str, int, str | None]",
        "Incoming" => "tuple[Incoming, str | None, int | None]",
        other => other,
    };
    if is_optional { format!("{known} | None") } else { known.to_owned() }
}

fn stub(row: &Row, own: &str) -> String {
    let arguments = row.arguments.iter().map(|(name, kind)| format!("{name}: {}", python(kind)));
    let first = (!own.is_empty()).then(|| own.to_owned());
    let arguments: Vec<_> = first.into_iter().chain(arguments).collect();
    let name = if row.name == "new" { "__new__" } else { row.name };
    format!("def {name}({}) -> {}: ...\n", arguments.join(", "), python(row.result))
}

#[test]
fn the_stub_of_the_python_module_is_written_from_the_rows() {
    let extra = include_str!("../../python/extra.pyi");
    let tables: Vec<_> = tables().into_iter().filter(|(name, _)| *name != "folders").collect();
    let every: Vec<&Rows> = tables.iter().flat_map(|(_, rows)| rows).collect();
    let (mut names, mut text) = (Vec::new(), String::new());
    for row in every.iter().filter(|rows| rows.class.is_empty()).flat_map(|rows| &rows.rows) {
        names.push(row.name);
        text.push_str(&stub(row, ""));
    }
    for home in every.iter().filter(|rows| !rows.class.is_empty() && !rows.extends) {
        names.push(home.class);
        let doc = home.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n    ");
        writeln!(text, "@final\nclass {}:\n    \"\"\"{doc}\"\"\"\n", home.class).unwrap();
        for row in every.iter().filter(|rows| rows.class == home.class).flat_map(|rows| &rows.rows) {
            text.push_str(if row.is_static && row.name != "new" { "    @staticmethod\n    " } else { "    " });
            text.push_str(&stub(row, if row.name == "new" { "cls" } else { ["self", ""][usize::from(row.is_static)] }));
        }
        text.push('\n');
    }
    let declared = extra.lines().filter_map(|line| {
        let name = line.strip_prefix("class ").or_else(|| line.strip_prefix("def "));
        let name =
            name.or_else(|| line.split_once(": ").map(|(name, _)| name).filter(|name| !name.starts_with([' ', ')'])));
        name.map(|name| name.split(['(', ':']).next().unwrap_or_default())
    });
    names.extend(declared);
    names.sort_unstable();
    let all: Vec<_> = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    let head = "# Written by a test: KEYBOUND_WRITE_API=1 cargo test -p keybound-ffi --test table\n\
        \"\"\"The native module: the facade of the core. JSON and byte strings are as `keybound-ffi` has them.\"\"\"\n\
        \nimport os\nfrom typing import final\n\nfrom ._resource import Incoming\nfrom .presented import Presented\n";
    on_record(
        "pkg/python/src/keybound/_keybound.pyi",
        &format!("{head}\n__all__ = [\n{}]\n\n{text}{extra}", all.concat()),
    );
}
