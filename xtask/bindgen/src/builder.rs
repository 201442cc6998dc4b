//! Builders for Java: records with optional members are made without a long row of arguments.

use crate::rewrite::missed;

/// A member of a data class.
struct Member<'t> {
    /// Its comment, as lines.
    documentation: Vec<&'t str>,
    name: &'t str,
    kind: &'t str,
    default: Option<&'t str>,
}

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
            new.push_str(&builder(name, &members));
            new.push('}');
            (rest, changed) = (after, true);
        }
    }
    new.push_str(rest);
    if changed { Ok(new) } else { Err(missed("data class with default values")) }
}

fn members(head: &str) -> Vec<Member<'_>> {
    let (mut members, mut documentation) = (Vec::new(), Vec::new());
    for line in head.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && *line != ",") {
        match line.strip_prefix("val `").and_then(|rest| rest.split_once("`: ")) {
            Some((name, kind)) => {
                let (kind, default) = kind.split_once(" = ").map_or((kind, None), |(kind, value)| (kind, Some(value)));
                members.push(Member { documentation: std::mem::take(&mut documentation), name, kind, default });
            }
            None => documentation.push(line),
        }
    }
    members
}

fn builder(name: &str, members: &[Member<'_>]) -> String {
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
        fun build(): {name} = {name}({arguments})
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
    use super::add;

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
}
