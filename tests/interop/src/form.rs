//! Forms of login pages, read just well enough to be sent.

use reqwest::Url;

/// A form, and what is in it before anybody types.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Where it is sent to, relative to its page.
    pub(crate) action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// The first form of a page that is sent by POST.
    pub(crate) fn first(page: &str) -> Option<Self> {
        page.split("<form").skip(1).find_map(|text| {
            let text = text.split("</form").next()?;
            let (head, content) = text.split_once('>')?;
            let posts = attribute(head, "method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
            let action = attribute(head, "action").unwrap_or_default();
            posts.then(|| Self { action, fields: fields(content) })
        })
    }

    /// Types into a field, if the form has it.
    pub(crate) fn fill(&mut self, name: &str, text: &str) {
        for (_, value) in self.fields.iter_mut().filter(|(known, _)| known == name) {
            text.clone_into(value);
        }
    }

    /// The body of the request that sends it.
    pub(crate) fn encoded(&self) -> String {
        let mut url = Url::parse("http://form.example/").expect("a URL");
        url.query_pairs_mut().extend_pairs(&self.fields);
        url.query().unwrap_or_default().to_owned()
    }
}

/// Names and values of what is sent, where the button that agrees is pressed and boxes are ticked.
fn fields(content: &str) -> Vec<(String, String)> {
    let tags = content.split('<').filter(|tag| tag.starts_with("input") || tag.starts_with("button"));
    let tags = tags.map(|tag| tag.split('>').next().unwrap_or_default());
    let named = tags.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())));
    named.filter(|(name, _)| name != "cancel").collect()
}

/// The value of an attribute in quotation marks.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    Some(value.replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn what_alice_sends() {
        let page = r#"<form id="search" action="/search"></form>
            <form id="login" action="/login?a=1&amp;b=2" method="post"><input type="hidden" name="state" value="a b">
            <input name="username" type="text"/><button name="login">In</button><button name="cancel">Out</button></form>"#;
        let mut form = Form::first(page).expect("a form");
        form.fill("username", "alice");
        form.fill("password", "no field for it");
        assert_eq!(form.action, "/login?a=1&b=2");
        assert_eq!(form.encoded(), "state=a+b&username=alice&login=");
        assert_eq!(Form::first("<p>no form</p>"), None);
    }
}
