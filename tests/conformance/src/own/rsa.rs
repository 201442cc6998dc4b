//! RSA keys that are too short, too long or malformed. Their signatures verify wherever that is possible at all.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use keybound::Rejection::{JwkNonCanonical, RsaInvalid, RsaTooLarge, RsaTooSmall};
use keybound::base64url;

use super::{CRYPTO, Maker, Vector, quoted};
use crate::raw;

const F4: &str = "AQAB";
const SIZE: &str = "RFC 7518 3.3: 2048 bits or more";
const EXPONENT: &str = "RFC 8725 3.5: e is odd and at least 65537";

pub(super) fn vectors(maker: &Maker) -> Vec<Vector> {
    let even = |text: &str| {
        let mut bytes = base64url::decode(text.as_bytes()).expect("a number");
        if let Some(last) = bytes.last_mut() {
            *last &= 0xfe;
        }
        base64url::encode(&bytes)
    };
    let keys = [
        ("rsa-1024", RsaTooSmall, BITS_1024, F4.to_owned(), SIZE),
        ("rsa-2047", RsaTooSmall, BITS_2047, F4.to_owned(), SIZE),
        ("rsa-4104", RsaTooLarge, BITS_4104, F4.to_owned(), "RFC 8725 3.5: keys so long cost more than they protect"),
        ("rsa-e-1", RsaInvalid, (E_3.0, ONE), ONE.to_owned(), EXPONENT),
        ("rsa-e-3", RsaInvalid, E_3, "Aw".to_owned(), EXPONENT),
        ("rsa-e-2-33-plus-1", RsaInvalid, (E_3.0, LARGE_E_D), "AgAAAAE".to_owned(), "RFC 8725 3.5: e is below 2^33"),
        ("rsa-e-even", RsaInvalid, PUBLISHED, even(F4), EXPONENT),
    ];
    let mut vectors: Vec<_> = keys
        .into_iter()
        .map(|(id, rejection, key, e, reason)| {
            let jwk = format!(r#"{{"kty":"RSA","n":"{}","e":"{e}"}}"#, key.0);
            Vector::refused(id, rejection, sign(maker, &jwk, key), reason).of_key(&jwk, SOURCE)
        })
        .collect();
    let spelled = |n: &str, e: &str| format!(r#"{{"kty":"RSA","n":{},"e":{}}}"#, quoted(n), quoted(e));
    let mut published = |id, rejection, jwk: String, reason: &str| {
        let proof = sign(maker, &jwk, PUBLISHED);
        vectors.push(Vector::refused(id, rejection, proof, reason).of_key(&spelled(PUBLISHED.0, F4), SOURCE));
    };
    let canonical = "RFC 7518 2: the fewest octets, base64url without padding";
    published("rsa-n-even", RsaInvalid, spelled(&even(PUBLISHED.0), F4), "RFC 8017 3.1: n is a product of odd primes");
    published("rsa-n-padded", JwkNonCanonical, spelled(&format!("{}==", PUBLISHED.0), F4), canonical);
    published("rsa-n-newline", JwkNonCanonical, spelled(&format!("{}\n", PUBLISHED.0), F4), canonical);
    published("rsa-e-leading-zero", JwkNonCanonical, spelled(PUBLISHED.0, "AAEAAQ"), canonical);
    vectors
}

/// RS256 (RFC 8017 section 8.2.1) over good claims with the modulus and private exponent of `key`.
fn sign(maker: &Maker, jwk: &str, (n, d): (&str, &str)) -> String {
    let proof = maker.sign(&raw::header_with("RS256", jwk), &maker.claims());
    let (message, _) = proof.rsplit_once('.').expect("a proof has dots");
    let bytes = |text: &str| base64url::decode(text.as_bytes()).expect("a number");
    let (n, d) = (bytes(n), bytes(d));
    let hash = CRYPTO.digest.sha256(&[message.as_bytes()]);
    let filling = vec![0xff; n.len() - 3 - SHA256_INFO.len() - hash.len()];
    let block = [&[0, 1], &filling[..], &[0], SHA256_INFO, &hash].concat();
    let number = |bytes: &[u8]| BoxedUint::from_be_slice_truncated(bytes, precision(n.len()));
    let params = BoxedMontyParams::new_vartime(Odd::new(number(&n)).expect("an odd modulus"));
    let power = BoxedMontyForm::new(number(&block), &params).pow(&number(&d)).retrieve().to_be_bytes();
    format!("{message}.{}", base64url::encode(&power[power.len() - n.len()..]))
}

/// The bits of a whole number of 64-bit words.
fn precision(bytes: usize) -> u32 {
    u32::try_from(bytes.next_multiple_of(8) * 8).expect("a key of reasonable size")
}

const SHA256_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
const SOURCE: &str = "made for Keybound with RSA keys that everybody knows";
const ONE: &str = "AQ";

/// Modulus and private exponent of RFC 7515 A.2.
const PUBLISHED: (&str, &str) = (PUBLISHED_N, PUBLISHED_D);
// The others were made for these vectors; they belong to the exponents 65537, but for the one of 3, which also goes with 2^33 + 1.
const BITS_1024: (&str, &str) = (BITS_1024_N, BITS_1024_D);
const BITS_2047: (&str, &str) = (BITS_2047_N, BITS_2047_D);
const BITS_4104: (&str, &str) = (BITS_4104_N, BITS_4104_D);
const E_3: (&str, &str) = (E_3_N, E_3_D);

const PUBLISHED_N: &str = concat!(
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR",
    "T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB",
    "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia",
    "GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
);
const PUBLISHED_D: &str = concat!(
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46su",
    "i395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4",
    "qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB",
    "4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
);
const BITS_1024_N: &str = concat!(
    "oaGQtdvQwdvl38ruUYQ3vbSGi5eipZQQ_hBU7m4rrD3kDiWNnlf55SKpqaSZkPYjoakuNRHKH4S82tFYRprzneHGdtUKnv3SaioJ",
    "qTzCmZXg1nw3gRKy2rqWFvgtbu7cv3rnSI7I0tSGBmeUrDUH7lk7NaHAiap0QECpP4haaSE",
);
const BITS_1024_D: &str = concat!(
    "JZDnkV0FqAjz5I_F1CxmyDCtFMSpiNJhIKurEb-JZv77gk44HBVWf2sPA9690nNi1K_9jVgVIj43pqQBYGejNzAieGHjLozDBqDb",
    "7zJIN6EJNvF-BLXny-pXu3g11pwQwFDLeUWJVQNm4RIelodVBBWk7ZBuFXLjpjM5AmpYJgE",
);
const BITS_2047_N: &str = concat!(
    "dCwFGaWaztqOExyTBrQwh-g9S8RFUCvmJwI4gjltMA94Q39ekLAicqPWMDyPuhyAMnh0ddffJugzofAFqrHR--m2X7zJ2u-1X4br",
    "BV8yVMs1xjhWakBG6npjXdxZQ8n9ZV1Wv4h7yIOvcMY_8-ZH2Ttw6D-QT6k8gjn6DPanlsKGox1ZxOLohk26w05Y5aoP72K12_hD",
    "Qmzj1PvRadvG2vp-JPrhUU1Q6fdAp8pVIboPcpeDsmOcYMlwZXBqX8t0XzpTZ1F6l3K0T14dwvKQocfoHFcWTatiLGGaon2WarZ_",
    "9GpQh4Bj1rS0Pd0f2V4mUnJCAqQm2HCTHuiRa3abgw",
);
const BITS_2047_D: &str = concat!(
    "ay19mxbFB1htwUYYgxPUvl5NxswSIpANqymKVuKCUNfE3YjyBszpSxjKcAA_nbXTtDybPWlm8G9Dy4A0yjF6CE6ruhHjrQCANdy0",
    "kWUteztrpi-t0iLxCjzV1e-Hz1nYVR9S_Cv__5M2VfYhZHStDsafOTYDfusk7wRsJG-fWB9quII87uR51Hec9h-llhf1rkHstvaA",
    "3-0POrZ53iP21A9pkwjie7KQRXWrxUyO7tw6F2U4p8AX3O2wP18FSRD8FmG3WgO4JqKVZvOx4FCXUVSlHKPYZA4OltmBci12Lcfj",
    "hzw33jzObgJ252NUYDpGJLcmSQOEHketI_EsgUc6UQ",
);
const E_3_N: &str = concat!(
    "5x2aaVHWMC3NRLfiUXEQsgwXltdWkEi7cKIjSkHOMBQGkg5m2KHcAFJOsXvkbN3e_MrH1Ur9y0DkSPDw0f_wauKXQdhDA6Q-PAj8",
    "Q8l3wBE-z12Z7Y3LE3dxhg90t4PxxKIAvRO-ZkE9N6MnOLcKAY1rMzfl5xvHgrUW1wMNvMhQ66ARNlHL7jOPeu3N8cNRD9TWcBvP",
    "TcT7Eb09T9BrrNwDu03ztHV9sbNTfxLB8LSnICIIWT0bLk-H1zdSZhw-yqozkJMxNqp6QRM77nKkel1aR2A3APi-E1x2p7qRW1u9",
    "VOh5cWaAkndzAmVhMwoTYBQQh8pSEtErtDtF07A1Ow",
);
const E_3_D: &str = concat!(
    "mhO8RjaOyskzgyVBi6C1zAgPueTkYDB89cFs3CveyrgEYV7vOxaSquGJy6ftnek_UzHajjH-h4CYMKCgi__1nJcPgTrXV8LUKAX9",
    "goZP1WDUij5mnl6HYk-hBApNz61L2GwAfg0pmYDTemzE0HoGq7OczM_umhKFAc4POgIJKIRG4vH1nEmlASMtmF57k5HaJ-gvia6C",
    "pXX9_v-UzFriXZoRJnjfdPb_Iesw33YBRjuYAdrgiJCsL7kcGj3jwuqmg-COu8zpoZRS4S7m-HLnqbDQTroAtY6zEnhGQKh1Q920",
    "_fXax28X5N6dbvMJtKSo_rPH42PtoS9NIqtqXtrN2w",
);
const BITS_4104_N: &str = concat!(
    "sEguxrvoG6j3KTgXQ8FtGLu9ovnveQQms_GcSEvWKGFSvZgxj1tE09qf4Ev0TptS3JR7ga9AUk-BFwx3xyIR3pDRtZH2pnGOHk56",
    "uk_YcbyP-sJY06fmeafWpEYIlhLRtPyMPB5toZwa6XdTaSlS46LVgwum5EArMPzY51aYVvPo0t3G9NcsmqIv1KPsMz1jBv0wLfKH",
    "pixCZSsQLZkpHqZJ0yix2f6jRkJy0dHRyPzynj1N27CAy5jExaNzzGVPiWFs-pv4fNPfZOMbtyRIFXOjJgbQiYxFYWXhHgSbISXr",
    "RO2sLr794NyZk4Ai8kjlUdf0He2ZPyadzlJHpyQ2K95Gt_S4FSYVKid0MxQj0cnf5jJX9-ASz6Dct2sSph1Hroobc3fY0PFiWJzr",
    "tWHEhWLGmreX5ynVCF5D0DoYqPaojzdG93sSzoTITFoTb3z1ZnqZiUBBEhgEtx-eDG9DMBejH_vKGyzBqxtDGmHgfJcG5LEClZeA",
    "Q094DvVYsvX0lMmSXJvzFLPBVY-vMZ9ZdACqeOR9tBzTuv03Naj7cTKK0P1IlgA4BktsUhac82uKowZB9Vm8mFOd12KAXluXiiod",
    "w8hP3cTJbauuwidoBFEt07uElhr2F1Rvm81fAEBuGddLIPbHjZqiQNlF4_UiwNXJXZ-XunKG6ojIO5qduMbn",
);
const BITS_4104_D: &str = concat!(
    "i-sfRZqMJrg8RblBrgPvRfxuDtf23cUPuzAA7dlTyIVHGTmdzL2Sqd0TnQJsjZ_3ayFnzo19rldwjQzWXXaLXG7yJP4QGhhzx1Zf",
    "T1Zk5BHY7h4oRwczhkhTs9vqoMObM95oqKc2OVogekK-L_Ae3JO4iOVMuEq-fYmT2DsBe7Lpj8V8T4Yi3zHwaQUbS6hj235HKZEh",
    "XiIvKQG_O5If8zXlzva0A-V7Tx8a57N0oeUz5amfDMrRz8gYFw8fsJKRSOfNijUWTG4XGIqyyvC_TleUnXA3QZXW0_H7dsoNH4hr",
    "bzB-xDPQaxRtyYehNVHqwsV3-_FE-7z48HSabu3tGVuf5rPN4rgnrOdcg12i9TmL7gHzNhHJQ4GW8eW7DGMCIo24IDVogApAh0-V",
    "9ApSpBsqpVxeN-2svR0DMk4YN2B0icerIpX_aZOVwKGMjvZWqjnWx8d3cRRGT_HiD-dHJEuf1wxn00cIut-JGHjPhkeuq46WRyT3",
    "SoNKIPTwdq-zOWptyBOPvs6Z3wFzBppGNsQluQhEriUV-T-B-yCtPnGkmnrXlrr9yRY3JLq4qUUt15neE4piKCpupFWZUDVnwXhH",
    "0k2lQ_jvptLwlPgRPrXuTDtoXetQf9sBLMd-dXp_c72cipClYhXKuvrt-Ufu72dW1sYDAIbXfdLgZp2chqWB",
);
const LARGE_E_D: &str = concat!(
    "m_zbVpnMGxXUjX-kZ_r1GHmOu--HPMNwsE6-P3fUJ-fyIo0Yr7U2jVE6-qdtoaP4orqwqOhhbKqNnRZ4ts3ku19MlDz7CLrGLdLw",
    "lH0nKkU0-ttM_qd8UL63wi0ggmFp1DIzgwkFtrnYoMDbpX8ozs3Rx2Vq3bjBM_Bnx3zFU79msDOHTl-2gJBAA6nwsxOsQQieehUz",
    "G9ZtO4Mnbtoh0ECEj6UIZ6lZ-lC1HlbBslcV2B5q-89FpE26ZfZlhP1BKOYrySybGK7k7rgz5ScFGWDI3_96tB6ADnH5dM-ggO42",
    "X_SbMKm8cERzgwCbb-fHGiolExwQEolGjQDPgycl8Q",
);
