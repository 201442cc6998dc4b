//! Swift as Swift reads: typed throws, final classes, and no converters in sight.

use crate::rewrite::{all, lines};

const UNTYPED: &str = "\
private func rustCallWithError<T, E: Swift.Error>(
    _ errorHandler: @escaping (RustBuffer) throws -> E,
    _ callback: (UnsafeMutablePointer<RustCallStatus>) -> T) throws -> T {
    try makeRustCall(callback, errorHandler: errorHandler)
}
";

/// The library throws `KeyboundError` and nothing else; what else goes wrong is a build whose parts do not fit.
const TYPED: &str = "\
private func rustCallWithError<T>(
    _ errorHandler: @escaping (RustBuffer) throws -> KeyboundError,
    _ callback: (UnsafeMutablePointer<RustCallStatus>) -> T) throws(KeyboundError) -> T {
    do {
        return try makeRustCall(callback, errorHandler: errorHandler)
    } catch let error as KeyboundError {
        throw error
    } catch {
        throw internalError(error)
    }
}

private func lifted<I, O>(_ lift: (I) throws -> O, _ value: I) throws(KeyboundError) -> O {
    do {
        return try lift(value)
    } catch {
        throw internalError(error)
    }
}

private func internalError(_ error: any Swift.Error) -> KeyboundError {
    .host(fault: Fault(reason: \"internal\", detail: \"the library and its Swift code do not fit together: \\(error)\"))
}
";

pub(crate) fn improve(text: String) -> Result<String, String> {
    let mut text = all(&text, UNTYPED, TYPED)?;
    text = lines(&text, ")throws ", |line| {
        let is_declaration = ["open func ", "public func ", "public static func ", "public convenience init"]
            .iter()
            .any(|start| line.trim_start().starts_with(start));
        (is_declaration && line.contains(")throws ")).then(|| line.replace(")throws ", ") throws(KeyboundError) "))
    })?;
    text = lines(&text, "func of a protocol that throws", |line| {
        let is_requirement = line.starts_with("    func ") && !line.trim_end().ends_with('{');
        (is_requirement && line.contains(") throws ")).then(|| line.replace(") throws ", ") throws(KeyboundError) "))
    })?;
    text = lines(&text, "return try  …(try rustCallWithError", |line| {
        let (indent, rest) = line.split_once("return try  ")?;
        let (lift, rest) = rest.split_once("(try rustCallWithError")?;
        Some(format!("{indent}return try lifted({lift}, try rustCallWithError{rest}"))
    })?;
    // Cases of errors begin with a small letter, as other cases do.
    for case in ["Rejected", "Misuse", "LoginRequired", "Flow", "Host"] {
        let small = format!("{}{}", case[..1].to_lowercase(), &case[1..]);
        text = all(&text, &format!("case {case}("), &format!("case {small}("))?;
        text = all(&text, &format!(".{case}("), &format!(".{small}("))?;
    }
    for (old, new) in [
        ("open class ", "public final class "),
        ("open func ", "public func "),
        (", @unchecked Sendable {", ", Sendable {"),
        ("required public init(unsafeFromHandle", "init(unsafeFromHandle"),
        ("public struct NoHandle {\n        public init() {}", "struct NoHandle {\n        init() {}"),
        ("public init(noHandle", "init(noHandle"),
        ("public func uniffiCloneHandle", "func uniffiCloneHandle"),
        ("public struct FfiConverter", "struct FfiConverter"),
        ("public func FfiConverter", "func FfiConverter"),
    ] {
        text = all(&text, old, new)?;
    }
    text = reflected(&text)?;
    lines(&text, "trailing blanks", |line| {
        let trimmed = line.trim_end();
        (trimmed.len() + 1 < line.len()).then(|| format!("{trimmed}\n"))
    })
}

/// Types whose text leaves secrets out leave them out of their reflection as well, which `dump` and debuggers print.
fn reflected(text: &str) -> Result<String, String> {
    let named = |line: &str| {
        let declared = line.strip_prefix("public struct ").or_else(|| line.strip_prefix("public enum "))?;
        let (name, rest) = declared.split_once(':')?;
        rest.contains("CustomStringConvertible").then(|| name.to_owned())
    };
    let mut new = text.to_owned();
    for name in text.lines().filter_map(named) {
        new.push_str(&format!(
            "\nextension {name}: CustomReflectable {{\n    public var customMirror: Mirror {{ Mirror(self, children: [\"shown\": description]) }}\n}}\n"
        ));
    }
    if new.len() > text.len() {
        Ok(new)
    } else {
        Err("the generated code has no type with a text of its own any more".to_owned())
    }
}
