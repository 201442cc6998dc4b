//! The code behind the testing modules: nothing of it is for tests of apps, which use what is written around it.

use crate::rewrite::{all, lines};

/// Everything is internal.
pub(crate) fn kotlin(text: String) -> Result<String, String> {
    let text = all(&text, "public object ", "internal object ")?;
    let text = all(&text, "public interface ", "internal interface ")?;
    lines(&text, "a declaration", |line| {
        let kinds =
            ["open class ", "data class ", "sealed class ", "class ", "object ", "interface ", "fun ", "inline fun "];
        let is_open = kinds.iter().any(|kind| line.starts_with(kind));
        let trimmed = line.trim_end();
        if is_open {
            return Some(format!("internal {trimmed}\n"));
        }
        (trimmed.len() + 1 < line.len()).then(|| format!("{trimmed}\n"))
    })
}

/// Everything is internal.
pub(crate) fn swift(text: String) -> Result<String, String> {
    let text = all(&text, "open class ", "final class ")?;
    let text = all(&text, "open func ", "func ")?;
    all(&text, "public ", "")
}
