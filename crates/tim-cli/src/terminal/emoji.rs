//! Emojis in a terminal: an emoji table whose "files" are characters.

use std::fmt;

use tim_proto::render::text::{self, EmojiTable, Span};

use super::Safe;
use crate::output::STRONG;

/// The style of emojis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum EmojiStyle {
    /// Characters, such as 😁.
    #[default]
    Unicode,
    /// Keys between colons, such as :呲牙:, for terminals without emojis.
    Keys,
}

/// The text of a text message.
pub(super) struct Rendered<'a> {
    pub(super) text: &'a str,
    /// On several lines, indented after the first; or on one.
    pub(super) indent: Option<usize>,
    pub(super) style: EmojiStyle,
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::spans(self.text, &CHARACTERS).try_for_each(|span| match (span, self.style) {
            (Span::Text(text), _) => match self.indent {
                Some(indent) => Safe::lines(text, indent).fmt(f),
                None => Safe::line(text).fmt(f),
            },
            (Span::Emoji { file: character, .. }, EmojiStyle::Unicode) => f.write_str(character),
            (Span::Emoji { key, .. }, EmojiStyle::Keys) => {
                let name = key.trim_matches(['[', ']']);
                write!(f, "{STRONG}:{name}:{STRONG:#}")
            }
        })
    }
}

/// The keys that have a character.
pub(crate) fn emoji_keys() -> impl Iterator<Item = &'static str> {
    CHARACTERS.entries().iter().map(|(key, _)| *key)
}

/// Keys of all three tables, each with the closest character.
static CHARACTERS: EmojiTable<'static> = EmojiTable::new(&[
    ("[微笑]", "🙂"),
    ("[呲牙]", "😁"),
    ("[龇牙]", "😁"),
    ("[下雨]", "🌧️"),
    ("[OK]", "👌"),
    ("[NO]", "🙅"),
    ("[偷笑]", "🤭"),
    ("[再见]", "👋"),
    ("[冷汗]", "😰"),
    ("[凋谢]", "🥀"),
    ("[刀]", "🔪"),
    ("[可怜]", "🥺"),
    ("[可爱]", "😊"),
    ("[吐]", "🤮"),
    ("[咖啡]", "☕"),
    ("[啤酒]", "🍺"),
    ("[嘘]", "🤫"),
    ("[困]", "😪"),
    ("[坏笑]", "😏"),
    ("[多云]", "☁️"),
    ("[大哭]", "😭"),
    ("[太阳]", "☀️"),
    ("[奋斗]", "💪"),
    ("[害羞]", "☺️"),
    ("[尴尬]", "😅"),
    ("[强]", "👍"),
    ("[弱]", "👎"),
    ("[得意]", "😎"),
    ("[心碎了]", "💔"),
    ("[怒]", "😠"),
    ("[惊恐]", "😱"),
    ("[惊讶]", "😮"),
    ("[憨笑]", "😄"),
    ("[打哈欠]", "🥱"),
    ("[抓狂]", "😫"),
    ("[抱抱]", "🤗"),
    ("[拳头]", "👊"),
    ("[挥手]", "👋"),
    ("[握手]", "🤝"),
    ("[擦汗]", "😅"),
    ("[晕]", "😵"),
    ("[月亮]", "🌙"),
    ("[流泪]", "😢"),
    ("[激动]", "🤩"),
    ("[灯泡]", "💡"),
    ("[炸弹]", "💣"),
    ("[熊猫]", "🐼"),
    ("[爱心]", "❤️"),
    ("[猪头]", "🐷"),
    ("[猫咪]", "🐱"),
    ("[献吻]", "😘"),
    ("[玫瑰]", "🌹"),
    ("[疑问]", "❓"),
    ("[白眼]", "🙄"),
    ("[睡觉]", "😴"),
    ("[礼物]", "🎁"),
    ("[胜利]", "✌️"),
    ("[色]", "😍"),
    ("[药]", "💊"),
    ("[蛋糕]", "🎂"),
    ("[西瓜]", "🍉"),
    ("[调皮]", "😜"),
    ("[酷]", "😎"),
    ("[闪电]", "⚡"),
    ("[闭嘴]", "🤐"),
    ("[闹钟]", "⏰"),
    ("[难过]", "🙁"),
    ("[雨伞]", "☔"),
    ("[青蛙]", "🐸"),
    ("[飞机]", "✈️"),
    ("[香蕉]", "🍌"),
    ("[骷髅]", "💀"),
    ("[麦克风]", "🎤"),
    ("[鼓掌]", "👏"),
    ("[TUIEmoji_Expect]", "🤩"),
    ("[TUIEmoji_Blink]", "😉"),
    ("[TUIEmoji_Guffaw]", "😆"),
    ("[TUIEmoji_KindSmile]", "😊"),
    ("[TUIEmoji_Haha]", "😄"),
    ("[TUIEmoji_Cheerful]", "😀"),
    ("[TUIEmoji_Smile]", "🙂"),
    ("[TUIEmoji_Sorrow]", "😔"),
    ("[TUIEmoji_Speechless]", "😑"),
    ("[TUIEmoji_Amazed]", "😮"),
    ("[TUIEmoji_Complacent]", "😎"),
    ("[TUIEmoji_Lustful]", "😍"),
    ("[TUIEmoji_Stareyes]", "🤩"),
    ("[TUIEmoji_Giggle]", "😄"),
    ("[TUIEmoji_Daemon]", "😈"),
    ("[TUIEmoji_Rage]", "👿"),
    ("[TUIEmoji_Yawn]", "🥱"),
    ("[TUIEmoji_TearsLaugh]", "😂"),
    ("[TUIEmoji_Wail]", "😭"),
    ("[TUIEmoji_Kiss]", "😘"),
    ("[TUIEmoji_Trapped]", "😪"),
    ("[TUIEmoji_Fear]", "😱"),
    ("[TUIEmoji_BareTeeth]", "😁"),
    ("[TUIEmoji_FlareUp]", "😡"),
    ("[TUIEmoji_ShutUp]", "🤐"),
    ("[TUIEmoji_Sigh]", "😮‍💨"),
    ("[TUIEmoji_Silent]", "🤫"),
    ("[TUIEmoji_Skull]", "💀"),
    ("[TUIEmoji_Mask]", "😷"),
    ("[TUIEmoji_Beer]", "🍺"),
    ("[TUIEmoji_Cake]", "🎂"),
    ("[TUIEmoji_RedPacket]", "🧧"),
    ("[TUIEmoji_Bombs]", "💣"),
    ("[TUIEmoji_Ai]", "🤖"),
    ("[TUIEmoji_Celebrate]", "🎉"),
    ("[TUIEmoji_Flower]", "🌸"),
    ("[TUIEmoji_Watermelon]", "🍉"),
    ("[TUIEmoji_Cow]", "🐮"),
    ("[TUIEmoji_Surprised]", "😲"),
    ("[TUIEmoji_Askance]", "🙄"),
]);

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, style: EmojiStyle) -> String {
        Rendered {
            text,
            indent: Some(0),
            style,
        }
        .to_string()
    }

    #[test]
    fn emojis_become_characters_or_keys() {
        assert_eq!(shown("好[呲牙][no]", EmojiStyle::Unicode), "好😁[no]");
        assert!(shown("好[呲牙]", EmojiStyle::Keys).contains(":呲牙:"));
    }

    #[test]
    fn every_key_is_one_of_the_library() {
        for (key, _) in CHARACTERS.entries() {
            let known = [&text::SEED, &text::TUI, &text::CLASSIC]
                .iter()
                .any(|table| table.file(key).is_some());
            assert!(known, "{key}");
        }
    }
}
