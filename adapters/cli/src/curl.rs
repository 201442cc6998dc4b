//! Reading a curl command line: what request it sends, as far as a proof is concerned.

use zeroize::Zeroizing;

use crate::failure::Failure;

/// Short options of curl that take a value, besides those read here.
const SHORT_WITH_VALUE: &str = "AbcCDeEKmoPQrtuUwxyYz";
/// Long options of curl that take a value and occur in what people paste, besides those read here.
const LONG_WITH_VALUE: [&str; 23] = [
    "cacert",
    "cert",
    "ciphers",
    "config",
    "connect-timeout",
    "connect-to",
    "cookie",
    "cookie-jar",
    "dump-header",
    "key",
    "max-redirs",
    "max-time",
    "output",
    "proxy",
    "referer",
    "request-target",
    "resolve",
    "retry",
    "retry-delay",
    "trace-ascii",
    "user",
    "user-agent",
    "write-out",
];
const BODY: [&str; 7] = ["data", "data-ascii", "data-binary", "data-raw", "data-urlencode", "form", "json"];

/// The request that a curl command sends.
#[derive(Default)]
pub(crate) struct CurlRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    /// Name and value of each field.
    pub(crate) fields: Vec<(String, Zeroizing<String>)>,
}

/// Whether a text is meant as a curl command.
pub(crate) fn is_curl(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"$ ").unwrap_or(text);
    [b"curl ".as_slice(), b"curl\\", b"curl.exe "].iter().any(|name| text.starts_with(name))
}

/// Reads one simple command: no pipes, variables or several URLs. Errors show nothing of it.
pub(crate) fn parse(command: &str) -> Result<CurlRequest, Failure> {
    let command = command.trim_start();
    let words = words(command.strip_prefix("$ ").unwrap_or(command))?;
    let mut words = words.into_iter().skip(1);
    let mut request = CurlRequest::default();
    let (mut method, mut implied, mut url) = (None, None, None);
    while let Some(word) = words.next() {
        let mut value = |joined: &str| match joined {
            "" => words.next().ok_or_else(|| Failure::usage("the curl command ends in an option without its value")),
            joined => Ok(Zeroizing::new(joined.to_owned())),
        };
        let (name, joined) = option(&word);
        match name.as_str() {
            "" if url.is_some() => {
                return Err(Failure::usage("the curl command has more than one URL; give one request"));
            }
            "" => url = Some(word),
            "request" => method = Some(value(joined)?),
            "url" => url = Some(value(joined)?),
            "header" => request.fields.extend(field(&value(joined)?)),
            "oauth2-bearer" => {
                let bearer = format!("Bearer {}", value(joined)?.as_str());
                request.fields.push(("Authorization".to_owned(), Zeroizing::new(bearer)));
            }
            "get" => implied = Some("GET"),
            "head" => implied = Some("HEAD"),
            "upload-file" => {
                value(joined)?;
                implied = Some("PUT");
            }
            name if BODY.contains(&name) => {
                value(joined)?;
                implied = implied.or(Some("POST"));
            }
            name if LONG_WITH_VALUE.contains(&name) => drop(value(joined)?),
            _ => {}
        }
    }
    let url = url.ok_or_else(|| Failure::usage("the curl command has no URL"))?;
    request.url = if url.contains("://") { url.to_string() } else { format!("http://{}", url.as_str()) };
    request.method = method.map_or_else(|| implied.unwrap_or("GET").to_owned(), |method| method.to_string());
    Ok(request)
}

/// The long name of an option, and the value joined to it; an empty name for what is no option.
fn option(word: &str) -> (String, &str) {
    if let Some(long) = word.strip_prefix("--") {
        return (long.to_owned(), "");
    }
    let Some(cluster) = word.strip_prefix('-').filter(|cluster| !cluster.is_empty()) else {
        return (String::new(), "");
    };
    let mut implied = "other";
    for (position, letter) in cluster.char_indices() {
        let rest = &cluster[position + letter.len_utf8()..];
        match letter {
            'X' => return ("request".to_owned(), rest),
            'H' => return ("header".to_owned(), rest),
            'd' => return ("data".to_owned(), rest),
            'F' => return ("form".to_owned(), rest),
            'T' => return ("upload-file".to_owned(), rest),
            'G' => implied = "get",
            'I' => implied = "head",
            letter if SHORT_WITH_VALUE.contains(letter) => return ("output".to_owned(), rest),
            _ => {}
        }
    }
    (implied.to_owned(), "")
}

/// A header field as curl takes it: `Name: value`, or `Name;` for an empty value.
fn field(text: &str) -> Option<(String, Zeroizing<String>)> {
    let (name, value) = text.split_once(':').or_else(|| text.strip_suffix(';').map(|name| (name, "")))?;
    Some((name.trim().to_owned(), Zeroizing::new(value.trim().to_owned())))
}

/// Splits a command into words as a shell does, without expanding anything.
fn words(command: &str) -> Result<Vec<Zeroizing<String>>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<Zeroizing<String>> = None;
    let mut chars = command.chars().peekable();
    while let Some(char) = chars.next() {
        let quote = match char {
            '\'' | '"' => char,
            // Browsers copy headers with unusual characters as $'...'.
            '$' if chars.peek() == Some(&'\'') => {
                chars.next();
                '$'
            }
            '\\' => {
                match chars.next() {
                    // The command goes on in the next line.
                    Some('\n') => {}
                    Some('\r') if chars.peek() == Some(&'\n') => drop(chars.next()),
                    Some(escaped) => word.get_or_insert_default().push(escaped),
                    None => {}
                }
                continue;
            }
            char if char.is_ascii_whitespace() => {
                words.extend(word.take());
                continue;
            }
            char => {
                word.get_or_insert_default().push(char);
                continue;
            }
        };
        let text = word.get_or_insert_default();
        loop {
            let char = chars.next().ok_or_else(|| Failure::usage("the curl command has a quote that is not closed"))?;
            match (quote, char) {
                ('$', '\'') => break,
                ('$', '\\') => text.extend(chars.next().map(unescaped)),
                ('"', '\\') if chars.peek().is_some_and(|next| "\"\\$`".contains(*next)) => text.extend(chars.next()),
                (quote, char) if quote == char => break,
                (_, char) => text.push(char),
            }
        }
    }
    words.extend(word);
    Ok(words)
}

const fn unescaped(escaped: char) -> char {
    match escaped {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_curl, parse};

    fn read(command: &str) -> (String, String, Vec<(String, String)>) {
        let request = parse(command).unwrap();
        let fields = request.fields.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        (request.method, request.url, fields)
    }

    #[test]
    fn a_command_as_browsers_copy_it() {
        let (method, url, fields) = read(
            "curl 'https://api.example.com/items?page=2' \\\n  -X 'PUT' \\\r\n  -H 'authorization: DPoP a.b' \\\n  \
             -H $'dpop: it\\'s' --data-raw '{\"a\":\"-X DELETE\"}' --compressed",
        );
        assert_eq!((method.as_str(), url.as_str()), ("PUT", "https://api.example.com/items?page=2"));
        assert_eq!(
            fields,
            [("authorization".to_owned(), "DPoP a.b".to_owned()), ("dpop".to_owned(), "it's".to_owned())]
        );
    }

    #[test]
    fn options_joined_and_clustered() {
        let (method, url, fields) = read("curl -sSXPATCH -HDPoP:x --request-target /y -so out -u me:pw host/z");
        assert_eq!((method.as_str(), url.as_str()), ("PATCH", "http://host/z"));
        assert_eq!(fields, [("DPoP".to_owned(), "x".to_owned())]);
        assert_eq!(read("curl --header \"DPoP: a\\\"b\" --url https://h/").2[0].1, "a\"b");
    }

    #[test]
    fn the_method_follows_from_the_options() {
        for (command, method) in [
            ("curl https://h/", "GET"),
            ("curl -d a=b https://h/", "POST"),
            ("curl https://h/ --json '{}'", "POST"),
            ("curl -G -d a=b https://h/", "GET"),
            ("curl -I https://h/", "HEAD"),
            ("curl -T file https://h/", "PUT"),
            ("curl --data x --request DELETE https://h/", "DELETE"),
        ] {
            assert_eq!(read(command).0, method, "{command}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        for command in ["curl", "curl 'https://h/", "curl https://h/ -H", "curl https://a/ https://b/"] {
            assert!(parse(command).is_err(), "{command}");
        }
        assert!(is_curl(b"  curl https://h/") && is_curl(b"$ curl x") && !is_curl(b"curly.b.c"));
    }
}
