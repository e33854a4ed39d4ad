//! What messages say: elements, and how those who are offline are notified.

use super::shape::{
    Field, Shape, any_of, anything, fraction, list, may, need, number, number_up_to, number32, object,
    one_of, part, positive, shared, some, some_text, text, word,
};
use tim_json::limits::MAX_LIST_ITEMS;

/// The fields that a message has in all calls.
pub(super) fn body() -> Vec<Field> {
    vec![
        need("MsgBody", some(super::shape::element(), MAX_LIST_ITEMS)),
        may("CloudCustomData", text()),
        may(
            "SendMsgControl",
            list(text(), crate::http::rest::body::MAX_CONTROLS),
        ),
        may("OfflinePushInfo", push()),
    ]
}

/// Which callbacks there are not to be.
pub(super) fn callbacks() -> Field {
    let most = crate::http::rest::callbacks::MAX_FORBIDDEN;
    may("ForbidCallbackControl", list(text(), most))
}

/// The elements of a message in an answer. One that another client has sent may have any fields.
pub(super) fn shown() -> Shape {
    let element = object([need("MsgType", text()), need("MsgContent", anything())]);
    super::shape::rows(element)
}

fn push() -> Shape {
    let texts = |names: &[&'static str]| names.iter().map(|name| may(name, text())).collect::<Vec<_>>();
    let numbers = |names: &[&'static str]| names.iter().map(|name| may(name, plain())).collect::<Vec<_>>();
    let android = texts(&[
        "Sound",
        "HuaWeiChannelID",
        "XiaoMiChannelID",
        "OPPOChannelID",
        "GoogleChannelID",
        "HuaWeiImportance",
        "HuaWeiCategory",
        "VIVOCategory",
        "HonorImportance",
        "HuaWeiImage",
        "HonorImage",
        "GoogleImage",
    ]);
    let android = android
        .into_iter()
        .chain(numbers(&["ExtAsHuaweiIntentParam", "PushStyle"]))
        .chain([part("VIVOClassification", anything())]);
    let apns = texts(&["Sound", "Title", "SubTitle", "Image", "InterruptionLevel"]);
    let apns = apns
        .into_iter()
        .chain(numbers(&["BadgeMode", "MutableContent", "ContentAvailable"]));
    let all = texts(&["Title", "Desc", "Ext"]).into_iter().chain([
        may("PushFlag", plain()),
        may("AndroidInfo", object(android)),
        may("ApnsInfo", object(apns)),
    ]);
    object(all)
}

/// A whole number of 32 bits, and no string of one.
fn plain() -> Shape {
    super::shape::plain_number(u32::MAX)
}

fn element(kind: &'static str, content: Shape) -> (&'static str, Shape) {
    let fields = [need("MsgType", word([kind])), need("MsgContent", content)];
    (kind, object(fields))
}

fn texts<const N: usize>(names: [&'static str; N]) -> impl Iterator<Item = Field> {
    names.into_iter().map(|name| may(name, text()))
}

fn numbers<const N: usize>(names: [&'static str; N]) -> impl Iterator<Item = Field> {
    names.into_iter().map(|name| may(name, number32()))
}

fn custom() -> Shape {
    let said = |name| object([need(name, some_text())]);
    let all = object(texts(["Data", "Desc", "Ext", "Sound"]));
    super::shape::all([any_of([said("Data"), said("Desc"), said("Ext")]), all])
}

fn image() -> Shape {
    let small = || number_up_to(u8::MAX.into());
    let rendition = [
        may("Type", small()),
        may("Size", number()),
        may("MsgType", plain()),
        may("URL", text()),
    ];
    let rendition = rendition
        .into_iter()
        .chain(numbers(["InstanceId", "Width", "Height"]));
    object([
        may("UUID", text()),
        may("ImageFormat", small()),
        need("ImageInfoArray", list(object(rendition), MAX_LIST_ITEMS)),
    ])
}

fn sound() -> Shape {
    // A recording has milliseconds.
    let second = number_up_to((u32::MAX / 1000).into());
    let fields = texts(["UUID", "Url"])
        .chain(numbers(["Download_Flag"]))
        .chain([may("Size", number()), may("Second", second)]);
    object(fields)
}

fn file() -> Shape {
    let fields = texts(["UUID", "Url", "FileName"])
        .chain(numbers(["Download_Flag"]))
        .chain([need("FileSize", positive())]);
    object(fields)
}

fn video() -> Shape {
    let fields = texts([
        "VideoUUID",
        "VideoUrl",
        "VideoFormat",
        "ThumbUUID",
        "ThumbUrl",
        "ThumbFormat",
        "SnapshotUrl",
    ]);
    let fields = fields
        .chain(numbers([
            "VideoSecond",
            "VideoDownloadFlag",
            "ThumbWidth",
            "ThumbHeight",
            "ThumbDownloadFlag",
        ]))
        .chain([may("VideoSize", number()), may("ThumbSize", number())]);
    object(fields)
}

fn relay() -> Shape {
    let fields = [
        need("CompatibleText", text()),
        may("AbstractList", list(text(), MAX_LIST_ITEMS)),
        may("MsgList", list(object([]), MAX_LIST_ITEMS)),
        may("MsgNum", plain()),
    ];
    object(
        fields
            .into_iter()
            .chain(texts(["Title", "JsonMsgKey", "PbMsgKey"])),
    )
}

/// The shapes that have names.
pub(super) fn named() -> impl Iterator<Item = (&'static str, Shape)> {
    let face = object([need("Index", number32()), may("Data", text())]);
    let place = object([
        may("Desc", text()),
        need("Latitude", fraction()),
        need("Longitude", fraction()),
    ]);
    let elements = [
        element("TIMTextElem", object([need("Text", text())])),
        element("TIMFaceElem", face),
        element("TIMLocationElem", place),
        element("TIMCustomElem", custom()),
        element("TIMSoundElem", sound()),
        element("TIMImageElem", image()),
        element("TIMFileElem", file()),
        element("TIMVideoFileElem", video()),
        element("TIMRelayElem", relay()),
    ];
    let all = one_of(elements.iter().map(|(kind, _)| shared(kind)));
    elements.into_iter().chain([("Element", all)])
}
