//! Kotlin as Kotlin and Java read: errors whose message is theirs, statics and overloads for Java, and no converters in sight.

use crate::rewrite::{all, lines};

pub(crate) fn improve(text: String) -> Result<String, String> {
    // An exception's message is what people see; the generator would print all fields.
    let text = all(&text, "get() = \"fault=${ `fault` }\"", "get() = `fault`.detail")?;
    let text = all(&text, "public object FfiConverter", "internal object FfiConverter")?;
    // Java knows no default arguments, and calls companions by their name.
    let text = lines(&text, "constructor with default arguments", |line| {
        let is_constructor = line.trim_start().starts_with("constructor(") && line.contains(" = ");
        is_constructor.then(|| line.replacen("constructor(", "@JvmOverloads constructor(", 1))
    })?;
    let text = overloaded_records(&text)?;
    let text = overloaded_functions(&text)?;
    // No trailing blanks, which editors would mark.
    lines(&text, "trailing blanks", |line| {
        let trimmed = line.trim_end();
        (trimmed.len() + 1 < line.len()).then(|| format!("{trimmed}\n"))
    })
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
    if changed { Ok(new) } else { Err("the generated code has no data class with default values any more".to_owned()) }
}

/// Functions of companions become static, and those with defaults get overloads.
fn overloaded_functions(text: &str) -> Result<String, String> {
    const START: &str = "    @Throws(KeyboundException::class) fun `";
    let mut previous = "";
    let mut new = String::with_capacity(text.len());
    let mut changed = false;
    for line in text.split_inclusive('\n') {
        if line.starts_with(START) {
            changed = true;
            if line.contains(" = ") {
                new.push_str("    @JvmOverloads\n");
            }
            // The generator indents the documentation of top-level functions further.
            if previous == "     */\n" {
                new.push_str("    @JvmStatic\n");
            }
        }
        new.push_str(line);
        previous = line;
    }
    if changed { Ok(new) } else { Err(format!("the generated code has no '{START}' any more")) }
}
