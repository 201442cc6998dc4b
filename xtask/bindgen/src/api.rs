//! The public declarations of a package's code, generated and written: what a change of the API is seen by.

/// What the declarations of a language look like.
struct Language {
    /// A declaration begins with one of these words.
    begins: &'static [&'static str],
    /// A declaration with one of these words has members.
    types: &'static [&'static str],
    /// Whether a declaration is public, in a type that is declared by the second text; empty outside of types.
    is_public: fn(&str, &str) -> bool,
    /// Declarations with one of these are the generator's.
    own: &'static [&'static str],
}

const SWIFT: Language = Language {
    begins: &[
        "public",
        "case",
        "func",
        "var",
        "let",
        "init",
        "static",
        "mutating",
        "struct",
        "enum",
        "class",
        "final",
        "actor",
        "extension",
        "protocol",
        "private",
        "fileprivate",
        "internal",
        "convenience",
        "required",
        "nonisolated",
        "override",
        "subscript",
        "typealias",
        "associatedtype",
        "deinit",
        "@discardableResult",
        "@frozen",
        "open",
    ],
    types: &["struct", "enum", "class", "actor", "extension", "protocol"],
    is_public: |declaration, owner| {
        let has = |text: &str, word: &str| words(text).any(|known| known == word);
        let is_member = has(owner, "protocol") || has(owner, "enum") && has(declaration, "case");
        has(declaration, "public") || is_member && has(owner, "public")
    },
    own: &["uniffi", "Uniffi", "RustBuffer", "RustCallStatus", "FfiConverter", "NoHandle", "unsafeFromHandle"],
};

const KOTLIN: Language = Language {
    begins: &[
        "public",
        "fun",
        "val",
        "var",
        "class",
        "interface",
        "object",
        "constructor",
        "companion",
        "override",
        "suspend",
        "open",
        "abstract",
        "sealed",
        "data",
        "enum",
        "internal",
        "private",
        "protected",
        "inline",
        "const",
        "lateinit",
        "operator",
        "typealias",
        "init",
    ],
    types: &["class", "interface", "object"],
    is_public: |declaration, _| {
        let modifiers = words(without_annotations(declaration))
            .take_while(|word| !["fun", "val", "var", "class", "interface", "object", "constructor"].contains(word));
        !modifiers.into_iter().any(|word| ["internal", "private", "protected", "init"].contains(&word))
    },
    own: &["uniffi", "Uniffi", "RustBuffer", "FfiConverter", "ForeignBytes", "NoHandle", "destroy("],
};

/// A type or a body that the text is in.
struct Scope {
    /// What declared the type; nothing, if this is a body.
    declaration: Option<String>,
    is_public: bool,
    /// Whether the type, which is an extension, is told with its first public member.
    is_untold: bool,
}

pub(crate) fn swift(texts: &[String]) -> String {
    texts.iter().map(|text| declarations(&SWIFT, text)).collect()
}

pub(crate) fn kotlin(texts: &[String]) -> String {
    texts.iter().map(|text| declarations(&KOTLIN, text)).collect()
}

/// The public declarations in a text, each on a line of its own, with the parameters of long ones on theirs.
fn declarations(language: &Language, text: &str) -> String {
    let mut api = String::new();
    let mut scopes: Vec<Scope> = Vec::new();
    // Annotations on lines of their own, and a declaration whose end is not there yet.
    let (mut annotations, mut begun) = (String::new(), String::new());
    // A type whose brace is on a later line.
    let mut headless: Option<Scope> = None;
    for line in without_comments(text).lines().map(str::trim).filter(|line| !line.is_empty()) {
        let owner = scopes.last().map_or(Some(""), |scope| scope.declaration.as_deref());
        let in_public = scopes.iter().all(|scope| scope.is_public);
        if begun.is_empty() {
            let Some(owner) = owner else {
                nest(&mut scopes, line, None);
                continue;
            };
            if is_annotation(line) {
                annotations.push_str(line);
                annotations.push(' ');
                continue;
            }
            if is_entry(line, owner) && in_public {
                declare(&mut api, line.trim_end_matches([',', ';']), scopes.len());
                continue;
            }
            if !begins(language, line) {
                annotations.clear();
                nest(&mut scopes, line, headless.take());
                continue;
            }
            begun = std::mem::take(&mut annotations);
        }
        begun.push_str(line);
        begun.push('\n');
        if depth(&begun) > 0 || line.ends_with([',', ':']) {
            continue;
        }
        let declaration = std::mem::take(&mut begun);
        let signature = signature(&declaration);
        let is_own = language.own.iter().any(|own| signature.contains(own));
        let is_public = !is_own && (language.is_public)(signature, owner.unwrap_or_default());
        let is_told =
            !["companion object", "public companion object", "override fun toString(): String"].contains(&signature);
        if is_public && in_public && is_told {
            let level = scopes.len().saturating_sub(1);
            if let Some(extended) = scopes.last_mut()
                && std::mem::take(&mut extended.is_untold)
            {
                declare(&mut api, extended.declaration.as_deref().unwrap_or_default(), level);
            }
            declare(&mut api, signature, scopes.len());
        }
        let plain = signature.split('(').next().unwrap_or_default();
        let is_type =
            words(plain).any(|word| language.types.contains(&word)) && !words(plain).any(|word| word == "func");
        // Members of an extension say themselves whether they are public.
        let opens = words(plain).any(|word| word == "extension") && !is_own;
        let scope = is_type.then(|| Scope {
            declaration: Some(signature.to_owned()),
            is_public: is_public || opens,
            is_untold: opens,
        });
        let rest = declaration.strip_prefix(signature).unwrap_or_default();
        if rest.contains('{') {
            nest(&mut scopes, rest, scope);
        } else {
            headless = scope;
        }
    }
    api
}

/// A declaration without its body or value; a constructor without the one that it calls.
fn signature(declaration: &str) -> &str {
    let plain = without_annotations(declaration).trim_start_matches("public ");
    let is_constructor = plain.trim_start_matches("internal ").starts_with("constructor");
    let mut nested = 0_i32;
    for (at, letter) in declaration.char_indices() {
        match letter {
            '(' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            '{' if nested == 0 => return declaration[..at].trim_end(),
            ':' if nested == 0 && is_constructor && declaration[..at].trim_end().ends_with(')') => {
                return declaration[..at].trim_end();
            }
            '=' if nested == 0 && declaration[..at].ends_with(' ') && declaration[at..].starts_with(['=']) => {
                let next = declaration[at + 1..].chars().next();
                if next.is_some_and(char::is_whitespace) {
                    return declaration[..at].trim_end();
                }
            }
            _ => {}
        }
    }
    declaration.trim_end()
}

/// How many parentheses are open.
fn depth(text: &str) -> i32 {
    unquoted(text).fold(0, |depth, letter| match letter {
        '(' => depth + 1,
        ')' => depth - 1,
        _ => depth,
    })
}

/// Enters and leaves scopes as the braces of `text` say. The first that it enters is `first`.
fn nest(scopes: &mut Vec<Scope>, text: &str, mut first: Option<Scope>) {
    for letter in unquoted(text) {
        match letter {
            '{' => scopes.push(first.take().unwrap_or(Scope { declaration: None, is_public: false, is_untold: false })),
            '}' => drop(scopes.pop()),
            _ => {}
        }
    }
}

/// The text without what is between quotes on one line.
fn unquoted(text: &str) -> impl Iterator<Item = char> + '_ {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.chars().filter(move |letter| {
        if *letter == '\n' {
            is_quoted = false;
        }
        let is_quote = *letter == '"' && !is_escaped;
        is_escaped = is_quoted && *letter == '\\' && !is_escaped;
        if is_quote {
            is_quoted = !is_quoted;
        }
        !is_quoted
    })
}

fn without_comments(text: &str) -> String {
    let mut new = String::with_capacity(text.len());
    let mut is_comment = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if !is_comment && trimmed.starts_with("/*") {
            is_comment = true;
        }
        if is_comment {
            if let Some((_, rest)) = line.split_once("*/") {
                is_comment = false;
                new.push_str(rest);
                new.push('\n');
            }
            continue;
        }
        let code = if trimmed.starts_with("//") { "" } else { line.split(" // ").next().unwrap_or(line) };
        // Within a line, before a parameter.
        let code = match (code.split_once("/**"), code.split_once("*/")) {
            (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
            _ => code.to_owned(),
        };
        new.push_str(&code);
        new.push('\n');
    }
    new
}

/// What stands before a declaration on a line of its own. Swift's errors have `public` so.
fn is_annotation(line: &str) -> bool {
    line == "public" || line.starts_with('@') && without_annotations(line).is_empty()
}

fn begins(language: &Language, line: &str) -> bool {
    words(without_annotations(line)).next().is_some_and(|first| language.begins.contains(&first))
}

/// A declaration of Kotlin's without the annotations before it.
fn without_annotations(mut declaration: &str) -> &str {
    while declaration.starts_with('@') && !SWIFT.begins.contains(&words(declaration).next().unwrap_or_default()) {
        let has_arguments = declaration.split([' ', '`']).next().is_some_and(|first| first.contains('('));
        let end = if has_arguments { ')' } else { ' ' };
        declaration = declaration.split_once(end).map_or("", |(_, rest)| rest).trim_start();
    }
    declaration
}

/// An entry of one of Kotlin's enumerations.
fn is_entry(line: &str, owner: &str) -> bool {
    let name = line.trim_end_matches([',', ';']);
    let is_constant = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    owner.contains("enum class") && !name.is_empty() && name.chars().all(is_constant)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && !['_', '@', '.', '`'].contains(&letter))
        .filter(|word| !word.is_empty())
}

/// The longest declaration that stays on one line.
const WIDTH: usize = 110;

fn declare(api: &mut String, signature: &str, level: usize) {
    let indent = "  ".repeat(level);
    let signature = signature.replace('`', "").replace("kotlin.", "").replace("dev.keybound.", "");
    let signature = signature.split_whitespace().collect::<Vec<_>>().join(" ");
    let signature = signature.replace("( ", "(").replace(" )", ")").replace(" ,", ",").replace(",)", ")");
    if signature.len() <= WIDTH {
        api.push_str(&format!("{indent}{signature}\n"));
        return;
    }
    // One parameter a line, so that a new one changes one line.
    let mut nested = 0_i32;
    let mut line = indent.clone();
    for letter in signature.chars() {
        if letter == ' ' && line.trim().is_empty() {
            continue;
        }
        line.push(letter);
        match letter {
            '(' | '<' | '[' => nested += 1,
            ')' | ']' => nested -= 1,
            '>' if !line.ends_with("->") => nested -= 1,
            _ => {}
        }
        if letter == ',' && nested == 1 {
            api.push_str(&format!("{}\n", line.trim_end()));
            line = format!("{indent}    ");
        }
    }
    api.push_str(&format!("{}\n", line.trim_end()));
}

#[cfg(test)]
mod tests {
    use super::{kotlin, swift};

    #[test]
    fn kotlins_record_has_constructors_top_level_functions_and_members() {
        let text = r#"
/** A key. */
class Key: AutoCloseable
{
    internal constructor(handle: Long) {
    }

    @Throws(KeyboundException::class)
    @JvmOverloads
    constructor(`options`: Options, `now`: kotlin.Long? = null) :
        this(UniffiWithHandle, uniffiRustCall() { _status -> "{" })

    private val handle: Long
    @Throws(KeyboundException::class) internal fun `hidden`() { val local = 1 }
    fun `shown`(`text`: kotlin.String)
        = callWithHandle { fun inner() {} }
    companion object {
        @JvmStatic
        fun `generate`(): Key { return Key() }
    }
}
internal class Hidden { fun `unseen`() {} }
enum class Role {
    CLIENT,
    SERVER;
    companion object
}
    @Throws(KeyboundException::class) fun `thumbprint`(`jwk`: kotlin.String): kotlin.String {
        return ""
    }
public val Response.demand: Demand?
    get() = null
public class Store private constructor(private val folder: String) : Closeable {
    override fun close(): Unit = Unit
}
"#;
        let expected = "\
class Key: AutoCloseable
  @Throws(KeyboundException::class) @JvmOverloads constructor(options: Options, now: Long? = null)
  fun shown(text: String)
    @JvmStatic fun generate(): Key
enum class Role
  CLIENT
  SERVER
@Throws(KeyboundException::class) fun thumbprint(jwk: String): String
public val Response.demand: Demand?
public class Store private constructor(private val folder: String) : Closeable
  override fun close(): Unit
";
        assert_eq!(kotlin(&[text.to_owned()]), expected);
    }

    #[test]
    fn swifts_record_has_initialisers_cases_requirements_and_members_of_extensions() {
        let text = r#"
public struct Place: Sendable {
    public let name: String
    let hidden = 1
    /// A place.
    public init(
        name: String, isShared: Bool = false
    ) throws(KeyboundError) {
        self.name = "\(name)"
    }
}
public
enum Fault: Error {
    case missing
    case unreadable(String)
    var inner: Int { 1 }
}
enum Hidden { case unseen }
public protocol Store: Sendable {
    func load(slot: String) async throws -> String?
}
extension Place {
    public var page: URL? { URL(string: name) }
    func internalOne() {}
}
public func thumbprint(of jwk: String) throws -> String {
    if jwk.isEmpty { return "" }
}
"#;
        let expected = "\
public struct Place: Sendable
  public let name: String
  public init(name: String, isShared: Bool = false) throws(KeyboundError)
public enum Fault: Error
  case missing
  case unreadable(String)
public protocol Store: Sendable
  func load(slot: String) async throws -> String?
extension Place
  public var page: URL?
public func thumbprint(of jwk: String) throws -> String
";
        assert_eq!(swift(&[text.to_owned()]), expected);
    }

    #[test]
    fn long_declarations_have_a_parameter_a_line() {
        let text = "public func proof(method: String, url: String, key: Key, accessToken: String? = nil, nonce: String? = nil, now: Int64? = nil) {}";
        let declared = swift(&[text.to_owned()]);
        assert_eq!(declared.lines().nth(1), Some("    url: String,"));
        assert_eq!(declared.lines().count(), 6);
    }
}
