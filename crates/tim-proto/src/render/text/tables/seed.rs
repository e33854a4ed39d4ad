//! The three keys from the original's documentation.

/// Key and image file, as documented.
pub(super) const ENTRIES: &[(&str, &str)] = &[
    ("[微笑]", "emoji_0.png"),
    ("[呲牙]", "emoji_1.png"),
    ("[下雨]", "emoji_2.png"),
];
