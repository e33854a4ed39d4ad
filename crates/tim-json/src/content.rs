//! The contents of elements, with the vendor's names. The spelling is odd on purpose: it is the vendor's.

use crate::element::Element;
use crate::object::object;

object! {
    /// `TIMTextElem`.
    pub struct Text(Rest) {
        /// The text.
        text: String = need "Text" / "text";
    }
}

object! {
    /// `TIMCustomElem`.
    pub struct Custom(Rest) {
        /// What the application says.
        data: String = may "Data" / "data";
        /// The description; also the text of an offline push.
        description: String = may "Desc" / "description";
        /// The extension.
        extension: String = may "Ext" / "extension";
        /// The sound of an offline push. The SDK drops it.
        sound: String = may "Sound" / "";
    }
}

object! {
    /// `TIMFaceElem`.
    pub struct Face(Rest) {
        /// The number of the sticker.
        index: i64 = need "Index" / "index";
        /// Extra data.
        data: String = need "Data" / "data";
    }
}

object! {
    /// `TIMLocationElem`.
    pub struct Location(Rest) {
        /// What is there.
        description: String = need "Desc" / "description";
        /// Degrees north.
        latitude: f64 = need "Latitude" / "latitude";
        /// Degrees east.
        longitude: f64 = need "Longitude" / "longitude";
    }
}

object! {
    /// `TIMImageElem`.
    pub struct Image(Rest) {
        /// The picture's name in the vendor's store.
        uuid: String = may "UUID" / "uuid";
        /// 1 JPG, 2 GIF, 3 PNG, 4 BMP, 255 others.
        format: u32 = may "ImageFormat" / "imageFormat";
        /// The renditions.
        images: Vec<ImageInfo> = need "ImageInfoArray" / "imageInfoArray";
    }
}

object! {
    /// A rendition of a picture.
    pub struct ImageInfo(Rest) {
        /// A number that the sender drew.
        instance: u32 = may "InstanceId" / "instanceID";
        /// 1 original, 2 large, 3 thumbnail.
        size_type: u32 = may "Type" / "sizeType";
        /// The position in the SDK's list: 0 original, 1 thumbnail, 2 large.
        position: u32 = may "MsgType" / "type";
        /// The size in bytes.
        size: u64 = may "Size" / "size";
        /// Pixels.
        width: u32 = may "Width" / "width";
        /// Pixels.
        height: u32 = may "Height" / "height";
        /// Where it is.
        url: String = may "URL" / "url";
        /// The same with the scheme `https`; only in the SDK. When the SDK forwards a picture, this becomes the `URL`.
        image_url: String = may "" / "imageUrl";
    }
}

object! {
    /// `TIMSoundElem`.
    pub struct Sound(Rest) {
        /// The recording's name in the vendor's store.
        uuid: String = may "UUID" / "uuid";
        /// Where it is.
        url: String = may "Url" / "url";
        /// The same; only in the SDK.
        remote_url: String = may "" / "remoteAudioUrl";
        /// The size in bytes.
        size: u64 = may "Size" / "size";
        /// Seconds.
        second: u32 = may "Second" / "second";
        /// 2: load it from the URL.
        download_flag: u32 = may "Download_Flag" / "downloadFlag";
    }
}

object! {
    /// `TIMFileElem`.
    pub struct File(Rest) {
        /// The file's name in the vendor's store. Older clients do not send it.
        uuid: String = may "UUID" / "uuid";
        /// The name at the sender.
        name: String = may "FileName" / "fileName";
        /// The size in bytes.
        size: u64 = may "FileSize" / "fileSize";
        /// Where it is.
        url: String = may "Url" / "fileUrl";
        /// The same; only in version 3 of the SDK.
        remote_url: String = may "" / "remoteFileUrl";
        /// 2: load it from the URL.
        download_flag: u32 = may "Download_Flag" / "downloadFlag";
    }
}

object! {
    /// `TIMVideoFileElem`.
    pub struct Video(Rest) {
        /// The video's name in the vendor's store.
        uuid: String = may "VideoUUID" / "videoUUID";
        /// Where it is.
        url: String = may "VideoUrl" / "videoUrl";
        /// The same; only in the SDK.
        remote_url: String = may "" / "remoteVideoUrl";
        /// The size in bytes.
        size: u64 = may "VideoSize" / "videoSize";
        /// Seconds.
        second: u32 = may "VideoSecond" / "videoSecond";
        /// Such as `mp4`.
        format: String = may "VideoFormat" / "videoFormat";
        /// 2: load it from the URL.
        download_flag: u32 = may "VideoDownloadFlag" / "videoDownloadFlag";
        /// The preview's name in the vendor's store.
        thumb_uuid: String = may "ThumbUUID" / "thumbUUID";
        /// Where the preview is.
        thumb_url: String = may "ThumbUrl" / "thumbUrl";
        /// The size in bytes.
        thumb_size: u64 = may "ThumbSize" / "thumbSize";
        /// Pixels.
        thumb_width: u32 = may "ThumbWidth" / "thumbWidth";
        /// Pixels.
        thumb_height: u32 = may "ThumbHeight" / "thumbHeight";
        /// Such as `JPG`.
        thumb_format: String = may "ThumbFormat" / "thumbFormat";
        /// 2: load it from the URL.
        thumb_download_flag: u32 = may "ThumbDownloadFlag" / "thumbDownloadFlag";
        /// The SDK's second name of `thumb_url`.
        snapshot_url: String = may "SnapshotUrl" / "snapshotUrl";
        /// The SDK's second name of `thumb_size`.
        snapshot_size: u64 = may "SnapshotSize" / "snapshotSize";
        /// The SDK's second name of `thumb_width`.
        snapshot_width: u32 = may "SnapshotWidth" / "snapshotWidth";
        /// The SDK's second name of `thumb_height`.
        snapshot_height: u32 = may "SnapshotHeight" / "snapshotHeight";
    }
}

object! {
    /// `TIMRelayElem`: several messages merged into one.
    pub struct Relay(Rest) {
        /// The title.
        title: String = may "Title" / "title";
        /// A line for each of the first messages.
        abstracts: Vec<String> = may "AbstractList" / "abstractList";
        /// What a client shows that cannot show merged messages.
        compatible_text: String = need "CompatibleText" / "compatibleText";
        /// The messages; empty if they are behind a key.
        messages: Vec<MergedMessage> = may "MsgList" / "messageList";
        /// The number of messages.
        count: u32 = may "MsgNum" / "";
        /// The key of the messages as JSON.
        json_key: String = may "JsonMsgKey" / "downloadKey";
        /// The key of the messages as Protobuf.
        pb_key: String = may "PbMsgKey" / "pbDownloadKey";
        /// The version of the format.
        version: u32 = may "" / "version";
        /// Whether merged messages were merged too often.
        layers_over_limit: bool = may "" / "layersOverLimit";
    }
}

object! {
    /// One of the messages of a [`Relay`].
    pub struct MergedMessage(Rest) {
        /// Its id.
        id: String = may "" / "ID";
        /// The sender.
        from: String = may "From_Account" / "from";
        /// The sender, once more.
        sender: String = may "" / "messageSender";
        /// The receiver, of a one-to-one message.
        to_user: String = may "To_Account" / "receiverUserID";
        /// The group, of a group's message.
        to_group: String = may "GroupId" / "receiverGroupID";
        /// The receiver or the group.
        receiver: String = may "" / "messageReceiver";
        /// Unix time in seconds.
        time: u64 = may "MsgTimeStamp" / "time";
        /// When the sender made it.
        client_time: u64 = may "MsgClientTime" / "clientTime";
        /// Its sequence.
        sequence: u64 = may "MsgSeq" / "messageSequence";
        /// The sender's own count.
        client_sequence: u64 = may "ClientSeq" / "clientSequence";
        /// Its random number.
        random: u32 = may "MsgRandom" / "messageRandom";
        /// The sender's nick.
        nick: String = may "From_AccountNick" / "nick";
        /// The sender's picture.
        avatar: String = may "From_AccountHeadurl" / "avatar";
        /// Data of the sender's application.
        cloud_custom_data: String = may "CloudCustomData" / "cloudCustomData";
        /// The elements.
        body: Vec<Element> = may "MsgBody" / "messageBody";
    }
}

object! {
    /// The revocation of a message, which the vendor has no element for: tim's own entry of a log.
    pub struct Revocation(Sdk) {
        /// The sequence of the revoked message.
        sequence: u64 = may "sequence";
        /// Its id.
        id: String = may "ID";
        /// Who sent it.
        sender: String = may "sender";
        /// Who revoked it.
        revoker: String = may "revoker";
        /// Why; may be empty.
        reason: String = may "revokeReason";
    }
}
