//! `base64url`: one spelling for each value, and the opinion of `base64ct` about which.

use base64ct::{Base64UrlUnpadded, Encoding};
use keybound::base64url as ours;

/// Decoding agrees with `base64ct`; what decodes is spelled in no other way; what is encoded decodes.
pub fn base64url(data: &[u8]) {
    let decoded = ours::decode(data);
    let reference = std::str::from_utf8(data).ok().and_then(|text| Base64UrlUnpadded::decode_vec(text).ok());
    assert_eq!(decoded.clone().ok(), reference, "base64ct decodes differently");
    if let Ok(bytes) = decoded {
        assert_eq!(ours::encode(&bytes).as_bytes(), data, "a second spelling");
        assert_eq!(ours::decoded_len(data.len()), Some(bytes.len()));
    }

    let text = ours::encode(data);
    assert_eq!(text, Base64UrlUnpadded::encode_string(data));
    assert_eq!(text.len(), ours::encoded_len(data.len()));
    let mut exact = vec![0xaa; data.len()];
    assert_eq!(ours::decode_exact(text.as_bytes(), &mut exact), Ok(()));
    assert_eq!(exact, data);
    for wrong in [data.len().saturating_sub(1), data.len() + 1] {
        let fits = wrong == data.len();
        assert_eq!(ours::decode_exact(text.as_bytes(), &mut vec![0; wrong]).is_ok(), fits, "room of the wrong size");
    }
    let mut appended = String::from("kept");
    ours::encode_into(data, &mut appended);
    assert_eq!(appended, format!("kept{text}"));
}
