//! What a browser does in a login that nobody has to look at.

use std::collections::BTreeMap;

use reqwest::blocking::{Client, Response};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;

/// How many redirects are followed.
const MAX_HOPS: usize = 20;

/// Follows redirects from `url`, with cookies, until one leads to `redirect_uri`, and gives that URL.
///
/// # Panics
/// If none does.
pub fn visit(url: &str, redirect_uri: &str) -> String {
    let client = Client::builder().redirect(Policy::none()).build().expect("a client");
    let mut cookies = BTreeMap::new();
    let mut url = reqwest::Url::parse(url).expect("a URL");
    for _ in 0..MAX_HOPS {
        let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = client.get(url.clone()).header(COOKIE, jar.join("; ")).send().expect("an answer");
        keep(&mut cookies, &response);
        let location = response.headers().get(LOCATION).map(|location| location.to_str().expect("a URL").to_owned());
        let location = location.unwrap_or_else(|| panic!("{url} led nowhere: {}", response.text().unwrap_or_default()));
        url = url.join(&location).expect("a URL");
        if url.as_str().starts_with(redirect_uri) {
            return url.into();
        }
    }
    panic!("redirects without end")
}

/// There is one site, so names are all that matters; cookies that the site takes back are empty.
fn keep(cookies: &mut BTreeMap<String, String>, response: &Response) {
    for cookie in response.headers().get_all(SET_COOKIE) {
        let cookie = cookie.to_str().unwrap_or_default();
        let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
        match value {
            "" => cookies.remove(name),
            value => cookies.insert(name.to_owned(), value.to_owned()),
        };
    }
}
