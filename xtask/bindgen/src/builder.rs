//! Builders for Java: records with optional members, and objects with many optional arguments, are made without a long row of arguments.

use crate::rewrite::missed;

/// A member of a data class.
struct Member<'t> {
    /// Its comment, as lines.
    documentation: Vec<String>,
    name: &'t str,
    kind: &'t str,
    default: Option<&'t str>,
}

/// With this many optional arguments, a constructor has a builder too. With fewer its overloads do.
const MANY: usize = 3;

/// Adds a builder to each data class with default values.
pub(crate) fn add(text: &str) -> Result<String, String> {
    const END: &str = "    companion object\n}";
    let mut new = String::with_capacity(text.len());
    let (mut rest, mut changed) = (text, false);
    while let Some(at) = rest.find("\ndata class ") {
        let (before, record) = rest.split_at(at + 1);
        new.push_str(before);
        let (head, body) = record.split_at(record.find("\n)").unwrap_or(record.len()));
        let name = head.split_whitespace().nth(2).unwrap_or_default();
        let members = members(head);
        new.push_str(head);
        rest = body;
        if members.iter().any(|member| member.default.is_some()) {
            let (inside, after) = body.split_once(END).ok_or_else(|| missed(END))?;
            new.push_str(inside);
            new.push_str(&builder(name, &members, ""));
            new.push('}');
            (rest, changed) = (after, true);
        }
    }
    new.push_str(rest);
    if changed { Ok(new) } else { Err(missed("data class with default values")) }
}

/// Adds a builder to each class with a constructor of many optional arguments.
pub(crate) fn add_to_classes(text: &str) -> Result<String, String> {
    const END: &str = "    /**\n     * @suppress\n     */\n    companion object\n";
    let mut new = String::with_capacity(text.len());
    let (mut rest, mut changed) = (text, false);
    while let Some(at) = rest.find("\n    constructor(`") {
        let (before, constructor) = rest.split_at(at + 1);
        new.push_str(before);
        let line = constructor.lines().next().unwrap_or_default();
        let members = arguments(line);
        if members.iter().filter(|member| member.default.is_some()).count() >= MANY {
            let throws = before.ends_with("    @Throws(KeyboundException::class)\n    @JvmOverloads\n");
            let throws = if throws { "        @Throws(KeyboundException::class)\n" } else { "" };
            let name = before.rsplit("\nclass ").next().and_then(|class| class.split(':').next()).unwrap_or_default();
            let (inside, after) = constructor.split_once(END).ok_or_else(|| missed(END))?;
            // A line of blanks is between, which is trimmed later.
            let after = after.trim_start().strip_prefix('}').ok_or_else(|| missed(END))?;
            new.push_str(inside);
            new.push_str(builder(name, &members, throws).trim_start_matches('\n'));
            new.push('}');
            (rest, changed) = (after, true);
        } else {
            new.push_str(line);
            rest = &constructor[line.len()..];
        }
    }
    new.push_str(rest);
    if changed { Ok(new) } else { Err(missed("constructor with many default values")) }
}

/// The arguments of a constructor, which is declared on one line.
fn arguments(line: &str) -> Vec<Member<'_>> {
    let inside = line.trim().trim_start_matches("constructor(").rsplit_once(')').map_or("", |(inside, _)| inside);
    let member = |argument| member(argument, vec!["/** As the constructor takes it. */".to_owned()]);
    inside.split(", ").filter_map(member).collect()
}

/// A member from "`name`: kind = default".
fn member(text: &str, documentation: Vec<String>) -> Option<Member<'_>> {
    let (name, kind) = text.strip_prefix('`')?.split_once("`: ")?;
    let (kind, default) = kind.split_once(" = ").map_or((kind, None), |(kind, value)| (kind, Some(value)));
    Some(Member { documentation, name, kind, default })
}

fn members(head: &str) -> Vec<Member<'_>> {
    let (mut members, mut documentation) = (Vec::new(), Vec::new());
    for line in head.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && *line != ",") {
        match line.strip_prefix("val ") {
            Some(rest) => members.extend(member(rest, std::mem::take(&mut documentation))),
            None => documentation.push(line.to_owned()),
        }
    }
    members
}

fn builder(name: &str, members: &[Member<'_>], throws: &str) -> String {
    let needed = |prefix: &str| {
        let needed = members.iter().filter(|member| member.default.is_none());
        needed.map(|member| format!("{prefix}`{}`: {}", member.name, member.kind)).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "    /**\n     * Builds a [{name}] from what differs from the default, for Java.\n     */\n    class Builder internal constructor({}) {{\n",
        needed("private val ")
    );
    let optional = || members.iter().filter_map(|member| Some((member, member.default?)));
    for (member, value) in optional() {
        text.push_str(&format!("        private var `{}`: {} = {value}\n", member.name, member.kind));
    }
    for (member, _) in optional() {
        text.push('\n');
        for line in &member.documentation {
            let indent = if line.starts_with('*') { "         " } else { "        " };
            text.push_str(&format!("{indent}{line}\n"));
        }
        let Member { name, kind, .. } = member;
        text.push_str(&format!(
            "        fun `{name}`(`{name}`: {kind}): Builder = apply {{ this.`{name}` = `{name}` }}\n"
        ));
    }
    let arguments = members.iter().map(|member| format!("`{}`", member.name)).collect::<Vec<_>>().join(", ");
    let given = members.iter().filter(|member| member.default.is_none());
    let given = given.map(|member| format!("`{}`", member.name)).collect::<Vec<_>>().join(", ");
    text.push_str(&format!(
        "
        /** Makes it. */
{throws}        fun build(): {name} = {name}({arguments})
    }}

    companion object {{
        /**
         * Begins a [{name}], whose optional members a builder takes by name.
         */
        @JvmStatic
        fun builder({}): Builder = Builder({given})
    }}
",
        needed("")
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::{add, add_to_classes};

    #[test]
    fn a_builder_takes_what_is_needed_at_once_and_the_rest_by_name() {
        let record = "
data class Options (
    /**
     * How much.
     */
    val `level`: Level
    ,
    /**
     * Where to.
     */
    val `target`: kotlin.String? = null

)
{
    companion object
}
";
        let built = add(record).unwrap();
        for expected in [
            "    class Builder internal constructor(private val `level`: Level) {\n        private var `target`: kotlin.String? = null\n",
            "         * Where to.\n         */\n        fun `target`(`target`: kotlin.String?): Builder = apply { this.`target` = `target` }\n",
            "        fun build(): Options = Options(`level`, `target`)\n",
            "        fun builder(`level`: Level): Builder = Builder(`level`)\n    }\n}\n",
        ] {
            assert!(built.contains(expected), "{built}");
        }
        assert!(add("\ndata class Plain (\n    val `a`: A\n)\n{\n    companion object\n}\n").is_err());
    }

    #[test]
    fn a_class_with_many_optional_arguments_has_a_builder() {
        let class = "
class Store: Disposable, AutoCloseable
{
    @Throws(KeyboundException::class)
    @JvmOverloads
    constructor(`options`: Options, `capacity`: kotlin.Int = 9, `now`: kotlin.Long? = null, `shares`: kotlin.Int = 64) :
        this(UniffiWithHandle)

    /**
     * @suppress
     */
    companion object

}
";
        let built = add_to_classes(class).unwrap();
        for expected in [
            "        this(UniffiWithHandle)\n\n    /**\n     * Builds a [Store] from what differs from the default, for Java.\n",
            "    class Builder internal constructor(private val `options`: Options) {\n        private var `capacity`: kotlin.Int = 9\n",
            "        /** As the constructor takes it. */\n        fun `now`(`now`: kotlin.Long?): Builder = apply { this.`now` = `now` }\n",
            "        @Throws(KeyboundException::class)\n        fun build(): Store = Store(`options`, `capacity`, `now`, `shares`)\n",
            "        fun builder(`options`: Options): Builder = Builder(`options`)\n    }\n}\n",
        ] {
            assert!(built.contains(expected), "{built}");
        }
        assert!(add_to_classes(&class.replace(", `shares`: kotlin.Int = 64", "")).is_err());
    }
}
