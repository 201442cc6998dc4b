//! Kotlin as Kotlin and Java read: errors whose message is theirs, classes without interfaces, and for Java statics, overloads, checked
//! exceptions and builders. Converters, and what only the rest of the library uses, are internal.

use std::collections::HashMap;

use crate::builder;
use crate::rewrite::{all, lines, missed};

/// Types for the written part of the library alone.
const HIDDEN_TYPES: [&str; 9] =
    ["FileFolder", "FileLock", "FiledKey", "FiledMark", "FiledValue", "SavingLock", "Sweep", "Swept", "SweptSlot"];

/// Functions for the written part of the library alone.
const HIDDEN_FUNCTIONS: [&str; 8] = [
    "isSweepDue",
    "lockPause",
    "privateFile",
    "privateFolder",
    "replacePrivateFile",
    "savingLock",
    "storedFileName",
    "tryLockFile",
];

pub(crate) fn improve(text: String) -> Result<String, String> {
    // Java calls top-level functions by this class.
    let text = all(
        &text,
        "@file:Suppress(\"NAME_SHADOWING\")",
        "@file:JvmName(\"Keybound\")\n@file:Suppress(\"NAME_SHADOWING\")",
    )?;
    // Functions that throw nothing follow their comment on its last line.
    let text = all(&text, "*/override fun `", "*/\n    override fun `")?;
    let text = all(&text, "*/ fun `", "*/\n    fun `")?;
    let text = errors(&text)?;
    let text = members(&text)?;
    let text = builder::add_to_classes(&builder::add(&text)?)?;
    let mut text = overloaded_records(&text)?;
    for (old, new) in [
        ("public object FfiConverter", "internal object FfiConverter"),
        ("\nobject NoHandle", "\ninternal object NoHandle"),
        ("    constructor(noHandle: NoHandle)", "    internal constructor(noHandle: NoHandle)"),
        ("    constructor(withHandle: UniffiWithHandle", "    internal constructor(withHandle: UniffiWithHandle"),
        ("    fun uniffiCloneHandle()", "    internal fun uniffiCloneHandle()"),
        ("    val uniffiIsDestroyed", "    internal val uniffiIsDestroyed"),
        ("    protected val ", "    private val "),
    ] {
        text = all(&text, old, new)?;
    }
    for name in HIDDEN_TYPES {
        let declared = ["class", "data class", "sealed class"].map(|kind| format!("\n{kind} {name}"));
        let declared = declared.iter().flat_map(|start| [format!("{start}:"), format!("{start} ")]);
        let declared = declared.into_iter().find(|start| text.contains(start)).ok_or_else(|| missed(name))?;
        text = text.replacen(&declared, &declared.replacen('\n', "\ninternal ", 1), 1);
    }
    for name in HIDDEN_FUNCTIONS {
        text = all(&text, &format!(" fun `{name}`("), &format!(" internal fun `{name}`("))?;
    }
    // No trailing blanks, which editors would mark.
    lines(&text, "trailing blanks", |line| {
        let trimmed = line.trim_end();
        (trimmed.len() + 1 < line.len()).then(|| format!("{trimmed}\n"))
    })
}

/// An exception's message is what people see, and what is known of it does not depend on its class.
fn errors(text: &str) -> Result<String, String> {
    const CLASS: &str = "sealed class KeyboundException: kotlin.Exception() {\n";
    const KNOWN: &str = "    /**
     * What is known of the error, whatever its class.
     */
    abstract val fault: Fault

    /**
     * The error's stable name, for programs, for example `replayed`.
     */
    val reason: kotlin.String get() = fault.reason

";
    let text = all(text, "get() = \"fault=${ `fault` }\"", "get() = `fault`.detail")?;
    let (before, rest) = text.split_once(CLASS).ok_or_else(|| missed(CLASS))?;
    let (class, after) = rest.split_once("\n}").ok_or_else(|| missed("the end of KeyboundException"))?;
    let class = all(class, "        val `fault`: Fault", "        override val `fault`: Fault")?;
    Ok([before, CLASS, KNOWN, &class, "\n}", after].concat())
}

/// Classes stand for themselves: their interfaces, which nothing takes, are dropped, and the default values go to the classes.
///
/// Constructors and functions say what they throw, have overloads where they have default values, and are static in companions.
fn members(text: &str) -> Result<String, String> {
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let mut parameters: HashMap<(String, String), String> = HashMap::new();
    let (mut new, mut interface, mut class) = (String::with_capacity(text.len()), None, None);
    let (mut in_companion, mut changed) = (false, false);
    for (at, line) in all.iter().enumerate() {
        if let Some(name) = interface_of(line) {
            drop_documentation(&mut new);
            interface = Some(name);
        }
        if let Some(name) = &interface {
            if let Some((function, given)) = function(line) {
                parameters.insert((name.clone(), function.to_owned()), given.to_owned());
            }
            if *line == "}\n" {
                interface = None;
            }
            continue;
        }
        if let Some(name) = line.strip_prefix("open class ").and_then(|rest| rest.split(':').next())
            && let Some((supertypes, rest)) = line.split_once(&format!(", {name}Interface"))
        {
            class = Some(name.to_owned());
            changed = true;
            new.push_str(&[&supertypes[5..], rest].concat());
            continue;
        }
        // Calls of functions end with a brace at the margin, as classes do; a converter follows each class.
        if line.starts_with("public object ") {
            (class, in_companion) = (None, false);
        }
        in_companion |= *line == "    companion object {\n";
        let start = line.trim_start();
        if start.starts_with("constructor(") && !start.contains("Handle") {
            let throws = all.iter().skip(at + 1).take(3).any(|line| line.contains("uniffiRustCallWithError"));
            let annotations = [("@Throws(KeyboundException::class)", throws), ("@JvmOverloads", line.contains(" = "))];
            annotate(&mut new, &annotations);
            new.push_str(line);
            continue;
        }
        let is_declaration = ["fun `", "override fun `", "@Throws"].iter().any(|begin| start.starts_with(begin));
        match function(line).filter(|_| is_declaration) {
            Some((name, given)) => {
                let known = class.as_ref().and_then(|class| parameters.get(&(class.clone(), name.to_owned())));
                let line =
                    line.replacen(given, known.map_or(given, String::as_str), 1).replacen("override fun", " fun", 1);
                annotate(&mut new, &[("@JvmStatic", in_companion), ("@JvmOverloads", line.contains(" = "))]);
                new.push_str("    ");
                new.push_str(&line.trim_start().replacen("  fun", " fun", 1));
            }
            None => new.push_str(line),
        }
    }
    if changed && !parameters.is_empty() { Ok(new) } else { Err(missed("class with an interface")) }
}

fn annotate(text: &mut String, annotations: &[(&str, bool)]) {
    for (annotation, _) in annotations.iter().filter(|(_, is_wanted)| *is_wanted) {
        text.push_str(&format!("    {annotation}\n"));
    }
}

/// The class whose interface begins on this line.
fn interface_of(line: &str) -> Option<String> {
    let name = line.strip_prefix("public interface ")?.split_whitespace().next()?;
    name.strip_suffix("Interface").map(str::to_owned)
}

/// Name and parameters, with their parentheses, of the function that a line declares.
fn function(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("fun `")?;
    let (name, rest) = rest.split_once('`')?;
    let mut nested = 0_u32;
    let end = rest.char_indices().find_map(|(at, letter)| {
        match letter {
            '(' => nested += 1,
            ')' => nested -= 1,
            _ => {}
        }
        (nested == 0).then_some(at)
    })?;
    Some((name, &rest[..=end]))
}

/// Drops the comment that the text ends with.
fn drop_documentation(text: &mut String) {
    if text.trim_end().ends_with("*/")
        && let Some(at) = text.rfind("/**")
    {
        text.truncate(at);
    }
}

/// Gives data classes with defaults a constructor for each number of arguments.
fn overloaded_records(text: &str) -> Result<String, String> {
    let mut changed = false;
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\ndata class ") {
        let (before, record) = rest.split_at(at + 1);
        new.push_str(before);
        let end = record.find("\n)").unwrap_or(record.len());
        let (head, body) = record.split_at(end);
        if head.contains(" = ") {
            changed = true;
            new.push_str(&head.replacen(" (", " @JvmOverloads constructor (", 1));
        } else {
            new.push_str(head);
        }
        rest = body;
    }
    new.push_str(rest);
    if changed { Ok(new) } else { Err(missed("data class with default values")) }
}
