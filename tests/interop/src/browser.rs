//! What a browser does in a login that nobody has to look at.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::blocking::{Client, Response};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;

use crate::form::Form;

/// How many pages and redirects are gone through.
const MAX_HOPS: usize = 20;
/// The user that every server knows.
const USER: &str = "alice";
/// The password by which Keycloak and Spring know the user.
const PASSWORD: &str = "wonderland";

/// Follows redirects from `url`, with cookies, until one leads to `redirect_uri`, and gives that URL.
///
/// Forms on the way are sent as alice would: with her name and password, and agreed to.
///
/// # Panics
/// If none does.
pub fn visit(url: &str, redirect_uri: &str) -> String {
    match Browser::new(url).go(redirect_uri) {
        End::Redirect(url) => url,
        End::Page(url, page) => panic!("{url} led nowhere: {page}"),
    }
}

/// Goes through the forms behind `url` in the same way, until there is a page without one.
///
/// # Panics
/// If there is none.
pub fn approve(url: &str) {
    if let End::Redirect(url) = Browser::new(url).go("nowhere:") {
        panic!("led to {url}");
    }
}

struct Browser {
    client: Client,
    /// There is one site, so names are all that matters.
    cookies: BTreeMap<String, String>,
    url: Url,
}

enum End {
    Redirect(String),
    /// The page's URL and text.
    Page(Url, String),
}

impl Browser {
    fn new(url: &str) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { client, cookies: BTreeMap::new(), url: Url::parse(url).expect("a URL") }
    }

    fn go(mut self, redirect_uri: &str) -> End {
        let mut sent = None;
        for _ in 0..MAX_HOPS {
            let response = self.send(sent.take());
            if let Some(location) = response.headers().get(LOCATION) {
                self.url = self.url.join(location.to_str().expect("a URL")).expect("a URL");
                if self.url.as_str().starts_with(redirect_uri) {
                    return End::Redirect(self.url.into());
                }
                continue;
            }
            let page = response.text().expect("a page");
            let Some(mut form) = Form::first(&page) else { return End::Page(self.url, page) };
            form.fill("username", USER);
            form.fill("password", PASSWORD);
            self.url = self.url.join(&form.action).expect("a URL");
            sent = Some(form.encoded());
        }
        panic!("pages without end")
    }

    /// Sends a form, or asks for a page.
    fn send(&mut self, form: Option<String>) -> Response {
        let request = match form {
            Some(form) => self
                .client
                .post(self.url.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form),
            None => self.client.get(self.url.clone()),
        };
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, cookies.join("; ")).send().expect("an answer");
        self.keep(&response);
        response
    }

    /// Cookies that the site takes back are empty.
    fn keep(&mut self, response: &Response) {
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap_or_default();
            let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
    }
}
