"""Numbers, units and number words by language: wrong digits are held, other notations of the same value are not."""

from __future__ import annotations

import pytest

from enrich.grounding import PageIndex
from enrich.grounding.statements import likeness, same_statement

# (language, the page's sentence, a text about it that is wrong).
HELD = [
    ("de", "Der Anteil erneuerbarer Wärme lag im Jahr 2022 bei 3,5 % der Haushalte.", "Der Anteil erneuerbarer Wärme lag bei 5 % der Haushalte."),
    ("de", "Der Anteil stieg von 12,5 % im Norden auf 40,7 % im Süden.", "Der Anteil stieg von 12,7 % im Norden auf 40,5 % im Süden."),
    ("de", "Der Anteil stieg von 12,5 % im Norden auf 40,7 % im Süden.", "Der Anteil stieg von 12 % im Norden auf 41,7 % im Süden."),
    ("de", "Der Anteil stieg in zehn Jahren von 12,5 % auf 40,7 %.", "Der Anteil stieg von 40,7 % auf 12,5 %."),
    ("en", "The share rose within ten years from 12.5% to 40.7%.", "The share went from 40.7% to 12.5%."),
    ("es", "La proporción pasó del 12,5 % al 40,7 % en diez años.", "La proporción pasó del 40,7 % al 12,5 %."),
    ("zh", "该比例在十年内从12.5%上升到40.7%。", "该比例从40.7%上升到12.5%。"),
    ("fr", "La ville compte 1 234 567 habitants selon le dernier recensement.", "La ville compte 567 habitants selon le recensement."),
    ("fr", "La ville compte 1\u202f234\u202f567 habitants selon le recensement.", "La ville compte 234 habitants selon le recensement."),
    ("ru", "В опросе приняли участие 1 250 участников из разных городов.", "В опросе приняли участие 250 участников."),
    ("zh", "公司于2019年增长25%，员工人数也在增加。", "公司于2015年增长25%。"),
    ("zh", "公司于2019年增长25%，员工人数也在增加。", "公司于2019年增长52%。"),
    ("ja", "約2万5000人が参加し、満足度は30％だった。", "約3万5000人が参加した。"),
    ("ja", "約2万5000人が参加し、満足度は30％だった。", "満足度は80％だった。"),
    ("ja", "約2万5000人が参加し、満足度は30％だった。", "約5000人が参加した。"),
    ("de", "Das Projekt kostete 2,5 Mio. Euro und dauerte drei Jahre.", "Das Projekt kostete 2,5 Milliarden Euro."),
    ("zh", "工厂有三千五百名工人，分布在两个城市。", "工厂有三千六百名工人。"),
    ("zh", "其中百分之二十五的工人来自外地。", "其中百分之三十五的工人来自外地。"),
    ("de", "Es waren fünfundzwanzig Schiffe im Hafen, die alle warteten.", "Es waren fünfunddreißig Schiffe im Hafen."),
    ("ru", "В гавани стояло двадцать пять кораблей, и все они ждали.", "В гавани стояло тридцать пять кораблей."),
    ("ru", "Бюджет вырос до 3 миллионов рублей за один год.", "Бюджет вырос до 3 миллиардов рублей за один год."),
    ("hi", "सरकार ने इस योजना पर २५ लाख रुपये खर्च किए।", "सरकार ने इस योजना पर २५ करोड़ रुपये खर्च किए।"),
    ("ar", "شارك ٢٥ ألف شخص في الاستطلاع هذا العام.", "شارك ٥٢ ألف شخص في الاستطلاع هذا العام."),
    ("es", "La obra costó 4 mil millones de euros y duró dos años.", "La obra costó 4 millones de euros."),
    ("fr", "La tour mesure quatre-vingt-dix-sept mètres et domine la baie.", "La tour mesure quatre-vingt-sept mètres."),
    ("it", "La città ha 1.234.567 abitanti e cresce ogni anno.", "La città ha 1.234 abitanti."),
    ("pt", "O projeto custou 3,2 bilhões de reais em dez anos.", "O projeto custou 3,2 milhões de reais."),
    ("pl", "W badaniu wzięło udział 12 500 osób z całego kraju.", "W badaniu wzięło udział 500 osób."),
    ("tr", "Ankete katılanların %35'i olumlu yanıt verdi.", "Ankete katılanların %53'ü olumlu yanıt verdi."),
    ("ko", "행사에는 2만 5000명이 참가했고 만족도는 30%였다.", "행사에는 3만 5000명이 참가했다."),
    ("sv", "Kommunen har tjugofem skolor och tre bibliotek.", "Kommunen har trettiofem skolor."),
    ("nl", "De haven telt vijfentwintig schepen en drie kranen.", "De haven telt vijfendertig schepen."),
    ("uk", "В опитуванні взяли участь 2,5 млн осіб з усієї країни.", "В опитуванні взяли участь 2,5 млрд осіб."),
    ("cs", "Průzkumu se zúčastnilo dvacet pět obcí z celého kraje.", "Průzkumu se zúčastnilo třicet pět obcí."),
    ("da", "Andelen steg til 3,5 procent af husstandene i byen.", "Andelen steg til 5 procent af husstandene."),
    ("no", "Andelen økte til 3,5 prosent av husholdningene i byen.", "Andelen økte til 35 prosent av husholdningene."),
    ("fi", "Kyselyyn osallistui kaksikymmentäviisi kuntaa koko maasta.", "Kyselyyn osallistui kolmekymmentäviisi kuntaa."),
]  # fmt: skip

# (language, the page's sentence, the same in another notation).
SAME = [
    ("de", "Die Gemeinde hat 12.500 Einwohner und zwei Schulen.", "Die Gemeinde hat 12500 Einwohner."),
    ("ru", "В опросе приняли участие 1 250 участников из разных городов.", "В опросе приняли участие 1250 участников."),
    ("de", "Der Anteil lag im Jahr 2022 bei 3,5 % der Haushalte.", "Der Anteil lag 2022 bei 3.5% der Haushalte."),
    ("zh", "该国人口约为1.4亿，其中多数住在城市。", "The country has a population of about 140 million."),
    ("zh", "参加人数达到25万，创下新高。", "参加人数达到250,000。"),
    ("ja", "約2万5000人が参加し、満足度は30％だった。", "25000人が参加し、満足度は30%。"),
    ("de", "Das Projekt kostete 2,5 Mio. Euro und dauerte drei Jahre.", "Das Projekt kostete 2,5 Millionen Euro und dauerte 3 Jahre."),
    ("de", "Das Projekt kostete 2,5 Mio. Euro und dauerte drei Jahre.", "The project cost 2.5 million euros and took three years."),
    ("de", "Zwischen 2 und 3 Millionen Menschen sind betroffen, vor allem im Süden.", "Betroffen sind 2 bis 3 Mio. Menschen."),
    ("de", "Es waren fünfundzwanzig Schiffe im Hafen, die alle warteten.", "Im Hafen waren 25 Schiffe."),
    ("fr", "La tour mesure quatre-vingt-dix-sept mètres et coûte 3 millions d'euros.", "La tour mesure 97 mètres et coûte 3 000 000 euros."),
    ("ru", "В гавани стояло двадцать пять кораблей, и все они ждали.", "В гавани стояло 25 кораблей."),
    ("hi", "सरकार ने इस योजना पर २५ लाख रुपये खर्च किए।", "सरकार ने इस योजना पर 25,00,000 रुपये खर्च किए।"),
    ("es", "La obra costó 4 mil millones de euros y duró dos años.", "La obra costó 4.000 millones de euros y duró 2 años."),
    ("tr", "Ankete katılanların %35'i olumlu yanıt verdi.", "Ankete katılanların yüzde 35'i olumlu yanıt verdi."),
    ("zh", "其中百分之二十五的工人来自外地。", "其中25%的工人来自外地。"),
    ("ko", "행사에는 2만 5000명이 참가했고 만족도는 30%였다.", "행사에는 25,000명이 참가했다."),
    ("nl", "De kosten bedroegen € 2,5 miljoen voor dertig huizen in de stad.", "De kosten bedroegen 2,5 miljoen euro voor 30 huizen."),
    ("pt", "O projeto custou R$ 3,2 bilhões em dez anos de obras.", "O projeto custou 3,2 bilhões de reais em 10 anos."),
    ("it", "Nella città ci sono 3,5 miliardi di euro di debiti.", "I debiti sono 3,5 mld di euro."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "page", "text"), HELD)
def test_a_wrong_number_is_held(language: str, page: str, text: str) -> None:
    index = PageIndex(f"# A\n\n{page}\n")
    assert index.language == language
    assert index.find_quote(page) is not None
    assert ("number", "hard") in [(one.kind, one.severity) for one in index.check(text, [page])]


@pytest.mark.parametrize(("language", "page", "text"), [*SAME, *((language, page, page) for language, page, _ in HELD)])
def test_the_same_value_in_another_notation_is_supported(language: str, page: str, text: str) -> None:
    index = PageIndex(f"# A\n\n{page}\n")
    assert index.language == language
    assert [one for one in index.check(text, [page]) if one.kind != "language"] == []


def test_a_language_without_number_rules_is_named() -> None:
    page = "Ο πληθυσμός της πόλης ήταν 1.250 κάτοικοι το έτος 2019 και αυξάνεται."
    (finding,) = PageIndex(page).check("Ο πληθυσμός ήταν 1.520 κάτοικοι.", [page])
    assert (finding.kind, finding.severity) == ("language", "soft")
    assert finding.message == "numbers not checked in this language (el)"


def test_a_text_in_english_about_another_page_says_so() -> None:
    page = "该国人口约为1.4亿，其中多数住在城市。"
    (finding,) = PageIndex(page).check(
        "The country has a population of about 140 million, and most of the people live in the cities.", [page]
    )
    assert (finding.kind, finding.severity) == ("language", "soft")


SUBJECTS = {
    "zh": (
        "该报告认为电力成本在过去五年里持续上升，而储能价格下降。专家建议扩大电网投资。",
        "报告指出储能价格下降，电力成本上升。",
        "猫喜欢在温暖的窗台上睡觉，不爱洗澡。",
    ),
    "ko": (
        "이 보고서는 지난 몇 년간 전력 비용이 계속 상승했다고 설명한다.",
        "보고서에 따르면 전력 비용이 계속 상승했다.",
        "고양이는 따뜻한 창가에서 낮잠을 자는 것을 좋아한다.",
    ),
}


@pytest.mark.parametrize("language", SUBJECTS)
def test_the_subject_of_a_text_in_a_script_without_blanks(language: str) -> None:
    page, own, foreign = SUBJECTS[language]
    index = PageIndex(page)
    assert index.language == language
    assert [one.kind for one in index.check(own)] == []
    assert [one.kind for one in index.check(foreign)] == ["off-page"]


GERMAN = "Der Umbau des Hafens wurde im letzten Sommer nicht wie geplant beendet."
RUSSIAN = "В гавани стояло двадцать пять кораблей, и все они ждали ветра."


@pytest.mark.parametrize(
    ("page", "quote", "found"),
    [
        (GERMAN, GERMAN.replace("Sommer", "Winter"), True),
        (GERMAN, GERMAN.replace("nicht ", ""), False),
        (RUSSIAN, RUSSIAN.replace("двадцать", "тридцать"), False),
    ],
)
def test_a_quote_is_not_repaired_across_numbers_and_negations(page: str, quote: str, found: bool) -> None:
    assert (PageIndex(page).find_quote(quote) is not None) is found


def test_statements_in_other_languages_are_the_same_only_with_the_same_words() -> None:
    one, other = "Im Hafen lagen fünfundzwanzig Schiffe.", "Im Hafen lagen fünfunddreißig Schiffe."
    assert same_statement(one, other)
    assert not same_statement(one, other, "de")
    assert likeness("港口去年扩建，吞吐量增长", "港口去年扩建，吞吐量减少") > 0.7
