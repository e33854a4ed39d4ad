//! The current keys of the user interface kit, and their display names.

/// Key, image file, and names in the order of `Language`.
pub(super) const ROWS: [(&str, &str, [&str; 3]); 62] = [
    (
        "[TUIEmoji_Expect]",
        "emoji_0@2x.png",
        ["[期待]", "[Expect]", "[期待]"],
    ),
    (
        "[TUIEmoji_Blink]",
        "emoji_1@2x.png",
        ["[眨眼]", "[Blink]", "[眨眼]"],
    ),
    (
        "[TUIEmoji_Guffaw]",
        "emoji_2@2x.png",
        ["[大笑]", "[Guffaw]", "[大笑]"],
    ),
    (
        "[TUIEmoji_KindSmile]",
        "emoji_3@2x.png",
        ["[姨母笑]", "[KindSmile]", "[姨母笑]"],
    ),
    (
        "[TUIEmoji_Haha]",
        "emoji_4@2x.png",
        ["[哈哈哈]", "[Haha]", "[哈哈哈]"],
    ),
    (
        "[TUIEmoji_Cheerful]",
        "emoji_5@2x.png",
        ["[愉快]", "[Cheerful]", "[愉快]"],
    ),
    (
        "[TUIEmoji_Smile]",
        "emoji_6@2x.png",
        ["[微笑]", "[Smile]", "[微笑]"],
    ),
    (
        "[TUIEmoji_Sorrow]",
        "emoji_7@2x.png",
        ["[悲伤]", "[Sorrow]", "[悲傷]"],
    ),
    (
        "[TUIEmoji_Speechless]",
        "emoji_8@2x.png",
        ["[无语]", "[Speechless]", "[無語]"],
    ),
    (
        "[TUIEmoji_Amazed]",
        "emoji_9@2x.png",
        ["[惊讶]", "[Amazed]", "[驚訝]"],
    ),
    (
        "[TUIEmoji_Complacent]",
        "emoji_10@2x.png",
        ["[得意]", "[Complacent]", "[得意]"],
    ),
    (
        "[TUIEmoji_Lustful]",
        "emoji_11@2x.png",
        ["[色]", "[Lustful]", "[色]"],
    ),
    (
        "[TUIEmoji_Stareyes]",
        "emoji_12@2x.png",
        ["[星星眼]", "[StarEyes]", "[星星眼]"],
    ),
    (
        "[TUIEmoji_Giggle]",
        "emoji_13@2x.png",
        ["[憨笑]", "[Giggle]", "[憨笑]"],
    ),
    (
        "[TUIEmoji_Daemon]",
        "emoji_14@2x.png",
        ["[恶魔]", "[Daemon]", "[惡魔]"],
    ),
    (
        "[TUIEmoji_Rage]",
        "emoji_15@2x.png",
        ["[恶魔怒]", "[Rage]", "[惡魔怒]"],
    ),
    (
        "[TUIEmoji_Yawn]",
        "emoji_16@2x.png",
        ["[打哈欠]", "[Yawn]", "[打哈欠]"],
    ),
    (
        "[TUIEmoji_TearsLaugh]",
        "emoji_17@2x.png",
        ["[哭笑]", "[TearsLaugh]", "[哭笑]"],
    ),
    (
        "[TUIEmoji_Silly]",
        "emoji_18@2x.png",
        ["[傻了]", "[Silly]", "[傻了]"],
    ),
    (
        "[TUIEmoji_Wail]",
        "emoji_19@2x.png",
        ["[大哭]", "[Wail]", "[大哭]"],
    ),
    (
        "[TUIEmoji_Kiss]",
        "emoji_20@2x.png",
        ["[亲亲]", "[Kiss]", "[親親]"],
    ),
    (
        "[TUIEmoji_Trapped]",
        "emoji_21@2x.png",
        ["[困]", "[Trapped]", "[困]"],
    ),
    (
        "[TUIEmoji_Fear]",
        "emoji_22@2x.png",
        ["[恐惧]", "[Fear]", "[恐懼]"],
    ),
    (
        "[TUIEmoji_BareTeeth]",
        "emoji_23@2x.png",
        ["[龇牙]", "[BareTeeth]", "[齜牙]"],
    ),
    (
        "[TUIEmoji_FlareUp]",
        "emoji_24@2x.png",
        ["[发怒]", "[FlareUp]", "[發怒]"],
    ),
    (
        "[TUIEmoji_Tact]",
        "emoji_25@2x.png",
        ["[机智]", "[Tact]", "[機智]"],
    ),
    (
        "[TUIEmoji_Shit]",
        "emoji_26@2x.png",
        ["[便便]", "[Shit]", "[便便]"],
    ),
    (
        "[TUIEmoji_ShutUp]",
        "emoji_27@2x.png",
        ["[闭嘴]", "[ShutUp]", "[閉嘴]"],
    ),
    (
        "[TUIEmoji_Sigh]",
        "emoji_28@2x.png",
        ["[叹气]", "[Sigh]", "[嘆氣]"],
    ),
    (
        "[TUIEmoji_Hehe]",
        "emoji_29@2x.png",
        ["[呵呵]", "[Hehe]", "[呵呵]"],
    ),
    (
        "[TUIEmoji_Silent]",
        "emoji_30@2x.png",
        ["[收声]", "[Silent]", "[收聲]"],
    ),
    (
        "[TUIEmoji_Skull]",
        "emoji_31@2x.png",
        ["[骷髅]", "[Skull]", "[骷髏]"],
    ),
    (
        "[TUIEmoji_Mask]",
        "emoji_32@2x.png",
        ["[口罩]", "[Mask]", "[口罩]"],
    ),
    (
        "[TUIEmoji_Beer]",
        "emoji_33@2x.png",
        ["[啤酒]", "[Beer]", "[啤酒]"],
    ),
    (
        "[TUIEmoji_Cake]",
        "emoji_34@2x.png",
        ["[蛋糕]", "[Cake]", "[蛋糕]"],
    ),
    (
        "[TUIEmoji_RedPacket]",
        "emoji_35@2x.png",
        ["[红包]", "[RedPacket]", "[紅包]"],
    ),
    (
        "[TUIEmoji_Bombs]",
        "emoji_36@2x.png",
        ["[炸弹]", "[Bombs]", "[炸彈]"],
    ),
    ("[TUIEmoji_Ai]", "emoji_37@2x.png", ["[AI]", "[AI]", "[AI]"]),
    (
        "[TUIEmoji_Celebrate]",
        "emoji_38@2x.png",
        ["[庆祝]", "[Celebrate]", "[慶祝]"],
    ),
    ("[TUIEmoji_Bless]", "emoji_39@2x.png", ["[福]", "[Bless]", "[福]"]),
    (
        "[TUIEmoji_Flower]",
        "emoji_40@2x.png",
        ["[花]", "[Flower]", "[花]"],
    ),
    (
        "[TUIEmoji_Watermelon]",
        "emoji_41@2x.png",
        ["[瓜]", "[Watermelon]", "[瓜]"],
    ),
    ("[TUIEmoji_Cow]", "emoji_42@2x.png", ["[牛]", "[Cow]", "[牛]"]),
    ("[TUIEmoji_Fool]", "emoji_43@2x.png", ["[衰]", "[Fool]", "[衰]"]),
    (
        "[TUIEmoji_Surprised]",
        "emoji_44@2x.png",
        ["[惊喜]", "[Surprised]", "[驚喜]"],
    ),
    (
        "[TUIEmoji_Askance]",
        "emoji_45@2x.png",
        ["[白眼]", "[Askance]", "[白眼]"],
    ),
    (
        "[TUIEmoji_Monster]",
        "emoji_46@2x.png",
        ["[怪兽]", "[Monster]", "[怪獸]"],
    ),
    ("[TUIEmoji_Pig]", "emoji_47@2x.png", ["[猪]", "[Pig]", "[豬]"]),
    (
        "[TUIEmoji_Coffee]",
        "emoji_48@2x.png",
        ["[咖啡]", "[Coffee]", "[咖啡]"],
    ),
    ("[TUIEmoji_Ok]", "emoji_49@2x.png", ["[OK]", "[OK]", "[OK]"]),
    (
        "[TUIEmoji_Heart]",
        "emoji_50@2x.png",
        ["[爱心]", "[Heart]", "[愛心]"],
    ),
    ("[TUIEmoji_Sun]", "emoji_51@2x.png", ["[太阳]", "[Sun]", "[太陽]"]),
    (
        "[TUIEmoji_Moon]",
        "emoji_52@2x.png",
        ["[月亮]", "[Moon]", "[月亮]"],
    ),
    (
        "[TUIEmoji_Star]",
        "emoji_53@2x.png",
        ["[星星]", "[Star]", "[星星]"],
    ),
    ("[TUIEmoji_Rich]", "emoji_54@2x.png", ["[壕]", "[Rich]", "[壕]"]),
    (
        "[TUIEmoji_Fortune]",
        "emoji_55@2x.png",
        ["[发]", "[Fortune]", "[發]"],
    ),
    ("[TUIEmoji_857]", "emoji_56@2x.png", ["[857]", "[857]", "[857]"]),
    ("[TUIEmoji_666]", "emoji_57@2x.png", ["[666]", "[666]", "[666]"]),
    (
        "[TUIEmoji_Prohibit]",
        "emoji_58@2x.png",
        ["[禁]", "[Prohibit]", "[禁]"],
    ),
    (
        "[TUIEmoji_Convinced]",
        "emoji_59@2x.png",
        ["[服]", "[Convinced]", "[服]"],
    ),
    ("[TUIEmoji_Knife]", "emoji_60@2x.png", ["[刀]", "[Knife]", "[刀]"]),
    ("[TUIEmoji_Like]", "emoji_61@2x.png", ["[赞]", "[Like]", "[讚]"]),
];
