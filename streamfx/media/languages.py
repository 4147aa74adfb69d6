"""Languages by their codes: those of two letters, and both of those of three (ISO 639-1 and 639-2)."""

from __future__ import annotations

_NEW = "bod ces cym deu ell eus fas fra hye isl kat mkd mri msa mya nld ron slk sqi zho"
_OLD = "tib cze wel ger gre baq per fre arm ice geo mac mao may bur dut rum slo alb chi"
_SHORT = (
    "aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bhbih bibis "
    "bmbam bnben bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv "
    "dzdzo eeewe elell eneng eoepo esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla "
    "glglg gngrn guguj gvglv hahau heheb hihin hohmo hrhrv hthat huhun hyhye hzher iaina idind ieile igibo "
    "iiiii ikipk ioido isisl itita iuiku jajpn jvjav kakat kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor "
    "krkau kskas kukur kvkom kwcor kykir lalat lbltz lglug lilim lnlin lolao ltlit lulub lvlav mgmlg mhmah "
    "mimri mkmkd mlmal mnmon mrmar msmsa mtmlt mymya nanau nbnob ndnde nenep ngndo nlnld nnnno nonor nrnbl "
    "nvnav nynya ococi ojoji omorm orori ososs papan pipli plpol pspus ptpor quque rmroh rnrun roron rurus "
    "rwkin sasan scsrd sdsnd sesme sgsag sisin skslk slslv smsmo snsna sosom sqsqi srsrp ssssw stsot susun "
    "svswe swswa tatam tetel tgtgk ththa titir tktuk tltgl tntsn toton trtur tstso tttat twtwi tytah uguig "
    "ukukr ururd uzuzb veven vivie vovol wawln wowol xhxho yiyid yoyor zazha zhzho zuzul"
)

OLDER = dict(zip(_NEW.split(), _OLD.split(), strict=True))
"""The code of ISO 639-2/B for each of 639-2/T that has another one."""

_CODES = {each[:2]: each[2:] for each in _SHORT.split()} | {old: new for new, old in OLDER.items()}


def language_code(tag: str) -> str:
    """Return the code of three letters of a language, whichever way it is stated; as it is if there is none.

    Example:
        >>> [language_code(tag) for tag in ("de", "ger", "DEU", "pt-BR", "tlh")]
        ['deu', 'deu', 'deu', 'por', 'tlh']
    """
    primary = tag.strip().lower().replace("_", "-").partition("-")[0]
    return _CODES.get(primary, primary)
