"""What the shop sells: a literal table. Prices are whole fen; ``picture`` names a drawing in ``template/picture``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tongbao.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Good:
    """One thing on the shelf. ``tone`` is the colour of its tile, ``stock`` how many the shop opens with."""

    sku: str
    price: Money
    stock: int
    tone: str
    title: Mapping[str, str]
    line: Mapping[str, str]
    about: Mapping[str, str]

    @property
    def picture(self) -> str:
        return f"picture/{self.sku}.svg"


def _good(sku: str, fen: int, stock: int, tone: str, titles: tuple[str, str], *texts: str) -> Good:
    line_zh, line_en, about_zh, about_en = texts
    return Good(
        sku,
        Money(fen),
        stock,
        tone,
        {"zh": titles[0], "en": titles[1]},
        {"zh": line_zh, "en": line_en},
        {"zh": about_zh, "en": about_en},
    )


SHELF: Final[Mapping[str, Good]] = {
    good.sku: good
    for good in (
        _good(
            "teapot", 26_800, 12, "clay", ("紫砂西施壶", "Zisha teapot"),
            "宜兴原矿紫泥，一手可握", "Yixing purple clay, fits one hand",
            "壶身浑圆，出水利落。紫砂不上釉，日子久了自会温润。容量约 180 毫升。",
            "Round body, clean pour. Unglazed clay that grows warmer with every brew. About 180 ml.",
        ),
        _good(
            "longjing", 12_800, 40, "leaf", ("明前龙井 50 克", "Longjing tea, 50 g"),
            "清明前手采，锅炒", "Picked by hand before Qingming",
            "叶片扁平，汤色清亮，有新豆的香气。八十五度水，三分钟。",
            "Flat leaves, a clear cup, the scent of fresh beans. Water at 85 degrees, three minutes.",
        ),
        _good(
            "gaiwan", 8_600, 30, "sky", ("青瓷盖碗", "Celadon gaiwan"),
            "龙泉梅子青", "Longquan plum-green glaze",
            "一盖一碗一托，泡什么茶都合适。釉色如雨后远山。",
            "Lid, bowl and saucer: right for any tea. A glaze like far hills after rain.",
        ),
        _good(
            "vase", 45_600, 5, "sky", ("影青梅瓶", "Meiping vase"),
            "景德镇拉坯，高 28 厘米", "Thrown in Jingdezhen, 28 cm",
            "小口、丰肩、收腰，插一枝就够了。每只略有不同。",
            "Small mouth, full shoulder, narrow foot: one branch is enough. No two are the same.",
        ),
        _good(
            "brush", 3_500, 60, "sand", ("兼毫毛笔", "Writing brush"),
            "狼毫为柱，羊毫为披", "Weasel core, goat-hair coat",
            "刚柔相济，写楷书和行书都顺手。笔杆为湘妃竹。",
            "Firm yet soft, for regular and running script. The handle is speckled bamboo.",
        ),
        _good(
            "inkstone", 32_000, 8, "ink", ("歙砚", "She inkstone"),
            "眉纹石，附木盒", "Brow-patterned slate, with a box",
            "石质细润，发墨如油。随砚附楠木盒一只。",
            "Fine, moist stone that makes ink like oil. Comes in a box of nanmu wood.",
        ),
        _good(
            "paper", 4_500, 100, "sand", ("净皮宣纸 50 张", "Xuan paper, 50 sheets"),
            "四尺对开，半生熟", "Half-sized, 69 by 69 cm",
            "洇墨适中，初学者也不会手忙脚乱。",
            "Takes ink evenly, and forgives a beginner's hesitation.",
        ),
        _good(
            "fan", 5_800, 25, "rose", ("湘竹折扇", "Folding fan"),
            "素面可题字", "Plain leaf, ready for your words",
            "十六方竹骨，开合有声。扇面素白，留给你自己写。",
            "Sixteen bamboo ribs that open with a snap. The leaf is left white for you.",
        ),
        _good(
            "scarf", 23_900, 18, "rose", ("真丝方巾", "Silk scarf"),
            "湖州桑蚕丝，手工卷边", "Huzhou mulberry silk, hand rolled",
            "九十厘米见方，石榴红，可配四季。",
            "Ninety centimetres square, pomegranate red, for all seasons.",
        ),
        _good(
            "censer", 19_900, 10, "clay", ("小铜香炉", "Bronze censer"),
            "三足，可焚线香与盘香", "Three feet, for sticks and coils",
            "黄铜失蜡铸造，盖上云纹透烟。",
            "Lost-wax brass; the smoke leaves through clouds cut into the lid.",
        ),
        _good(
            "cake", 2_280, 80, "leaf", ("桂花糕 6 块", "Osmanthus cakes, six"),
            "当天蒸，当天寄", "Steamed and sent the same day",
            "糯米粉、干桂花、一点点糖。三日内吃完最好。",
            "Rice flour, dried osmanthus, a little sugar. Best within three days.",
        ),
        _good(
            "sample", 1, 500, "leaf", ("一分钱茶样", "Tea sample for one fen"),
            "试一试付款，也试一试茶", "Try the payment, and the tea",
            "一小包岩茶，三克。价钱是系统能收的最小一笔：一分。",
            "Three grams of rock tea. The price is the smallest sum there is: one fen.",
        ),
    )
}  # fmt: skip
