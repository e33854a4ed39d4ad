//! How users who are offline are notified: REST's `OfflinePushInfo`, and the options of the SDK's `sendMessage`.

use serde_json::Value;
use tim_proto::message as proto;

use crate::object::object;

object! {
    /// REST's `OfflinePushInfo`.
    pub struct OfflinePushInfo(Rest) {
        /// 1: no push.
        push_flag: u32 = may "PushFlag";
        /// The title.
        title: String = may "Title";
        /// The text; it replaces the message's own.
        description: String = may "Desc";
        /// Data for the application.
        extension: String = may "Ext";
        /// For Android.
        android: AndroidInfo = may "AndroidInfo";
        /// For Apple's devices.
        apns: ApnsInfo = may "ApnsInfo";
    }
}

object! {
    /// The part of [`OfflinePushInfo`] for Android.
    pub struct AndroidInfo(Rest) {
        /// The sound.
        sound: String = may "Sound";
        /// A channel of Huawei.
        huawei_channel: String = may "HuaWeiChannelID";
        /// A channel of Xiaomi.
        xiaomi_channel: String = may "XiaoMiChannelID";
        /// A channel of OPPO.
        oppo_channel: String = may "OPPOChannelID";
        /// A channel of Google.
        google_channel: String = may "GoogleChannelID";
        /// 0 marketing, 1 system. A number; the vendor's own SDK sends a string.
        vivo_classification: Value = may "VIVOClassification";
        /// `LOW` or `NORMAL`.
        huawei_importance: String = may "HuaWeiImportance";
        /// 1: `Ext` becomes a parameter of Huawei's intent.
        ext_as_huawei_intent_param: u32 = may "ExtAsHuaweiIntentParam";
        /// A category of Huawei.
        huawei_category: String = may "HuaWeiCategory";
        /// A category of VIVO.
        vivo_category: String = may "VIVOCategory";
        /// `LOW` or `NORMAL`.
        honor_importance: String = may "HonorImportance";
        /// 0 plain, 1 large text, 2 a picture.
        push_style: u32 = may "PushStyle";
        /// A picture for Huawei.
        huawei_image: String = may "HuaWeiImage";
        /// A picture for Honor.
        honor_image: String = may "HonorImage";
        /// A picture for Google.
        google_image: String = may "GoogleImage";
    }
}

object! {
    /// The part of [`OfflinePushInfo`] for Apple's devices.
    pub struct ApnsInfo(Rest) {
        /// The sound.
        sound: String = may "Sound";
        /// 1: the badge does not count it.
        badge_mode: u32 = may "BadgeMode";
        /// The title; it replaces the outer one.
        title: String = may "Title";
        /// The subtitle.
        subtitle: String = may "SubTitle";
        /// A picture.
        image: String = may "Image";
        /// 1: the application may change the notification.
        mutable_content: u32 = may "MutableContent";
        /// Such as `time-sensitive`.
        interruption_level: String = may "InterruptionLevel";
        /// 1: wakes the application.
        content_available: u32 = may "ContentAvailable";
    }
}

object! {
    /// The options of the SDK's `sendMessage`.
    pub struct SendOptions(Sdk) {
        /// Only for users who are online; not stored.
        online_user_only: bool = may "onlineUserOnly";
        /// How users who are offline are notified.
        offline_push: OfflinePushOptions = may "offlinePushInfo";
    }
}

object! {
    /// The SDK's `offlinePushInfo`.
    pub struct OfflinePushOptions(Sdk) {
        /// No push.
        disable_push: bool = may "disablePush";
        /// The title.
        title: String = may "title";
        /// The text; it replaces the message's own.
        description: String = may "description";
        /// Data for the application.
        extension: String = may "extension";
        /// iOS: the badge does not count it.
        ignore_ios_badge: bool = may "ignoreIOSBadge";
        /// The OPPO channel.
        oppo_channel: String = may "androidOPPOChannelID";
    }
}

impl OfflinePushInfo {
    /// tim's options in REST's form. The SDK always sends the two flags.
    #[must_use]
    pub fn of(push: &proto::OfflinePush<'_>) -> Self {
        Self {
            push_flag: Some(push.disable_push.into()),
            title: push.title.map(str::to_owned),
            description: push.description.map(str::to_owned),
            extension: push.extension.map(str::to_owned),
            android: push.android_oppo_channel_id.map(|channel| AndroidInfo {
                oppo_channel: Some(channel.to_owned()),
                ..AndroidInfo::default()
            }),
            apns: Some(ApnsInfo {
                badge_mode: Some(push.ignore_ios_badge.into()),
                ..ApnsInfo::default()
            }),
            ..Self::default()
        }
    }

    /// The options of the six fields that tim has. Others are left out.
    #[must_use]
    pub fn to_push(&self) -> proto::OfflinePush<'_> {
        let mut push = proto::OfflinePush::new().with_disable_push(self.push_flag == Some(1));
        push.title = self.title.as_deref();
        push.description = self.description.as_deref();
        push.extension = self.extension.as_deref();
        push.ignore_ios_badge = self.apns.as_ref().is_some_and(|it| it.badge_mode == Some(1));
        push.android_oppo_channel_id = self.android.as_ref().and_then(|it| it.oppo_channel.as_deref());
        push
    }
}

impl OfflinePushOptions {
    /// tim's options in the SDK's form.
    #[must_use]
    pub fn of(push: &proto::OfflinePush<'_>) -> Self {
        Self {
            disable_push: Some(push.disable_push),
            title: push.title.map(str::to_owned),
            description: push.description.map(str::to_owned),
            extension: push.extension.map(str::to_owned),
            ignore_ios_badge: Some(push.ignore_ios_badge),
            oppo_channel: push.android_oppo_channel_id.map(str::to_owned),
            ..Self::default()
        }
    }

    /// The options.
    #[must_use]
    pub fn to_push(&self) -> proto::OfflinePush<'_> {
        let mut push = proto::OfflinePush::new()
            .with_disable_push(self.disable_push.unwrap_or(false))
            .with_ignore_ios_badge(self.ignore_ios_badge.unwrap_or(false));
        push.title = self.title.as_deref();
        push.description = self.description.as_deref();
        push.extension = self.extension.as_deref();
        push.android_oppo_channel_id = self.oppo_channel.as_deref();
        push
    }
}

impl SendOptions {
    /// tim's options in the SDK's form.
    #[must_use]
    pub fn of(options: &proto::SendOptions<'_>) -> Self {
        Self {
            online_user_only: Some(options.online_user_only),
            offline_push: options.offline_push.as_ref().map(OfflinePushOptions::of),
            ..Self::default()
        }
    }

    /// The options.
    #[must_use]
    pub fn to_options(&self) -> proto::SendOptions<'_> {
        let mut options =
            proto::SendOptions::new().with_online_user_only(self.online_user_only.unwrap_or(false));
        options.offline_push = self.offline_push.as_ref().map(OfflinePushOptions::to_push);
        options
    }
}
