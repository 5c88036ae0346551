/* stop_words - see stop_words.h. Each list ascends by bytes, so that it can be bisected; short on
 * purpose: the index weighs frequent words low anyway. Folded as analyzer.c folds (ß is ss).
 */
#include "text/stop_words.h"

#include <string.h>

#include "text/analyzer.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* clang-format off */
static const char *const ENGLISH[] = {
    "a", "about", "above", "after", "again", "against", "all", "also", "am", "an", "and", "any",
    "are", "aren't", "as", "at", "be", "because", "been", "before", "being", "below", "between",
    "both", "but", "by", "can", "can't", "cannot", "could", "couldn't", "did", "didn't", "do",
    "does", "doesn't", "doing", "don't", "down", "during", "each", "few", "for", "from",
    "further", "had", "hadn't", "has", "hasn't", "have", "haven't", "having", "he", "he's", "her",
    "here", "hers", "herself", "him", "himself", "his", "how", "i", "i'm", "i've", "if", "in",
    "into", "is", "isn't", "it", "it's", "its", "itself", "just", "let's", "may", "me", "might",
    "more", "most", "must", "my", "myself", "no", "nor", "not", "of", "off", "on", "once", "only",
    "or", "other", "our", "ours", "ourselves", "out", "over", "own", "s", "same", "shall", "she",
    "she's", "should", "shouldn't", "so", "some", "such", "t", "than", "that", "that's", "the",
    "their", "theirs", "them", "themselves", "then", "there", "there's", "these", "they",
    "they're", "they've", "this", "those", "through", "to", "too", "under", "until", "up", "upon",
    "very", "was", "wasn't", "we", "we're", "we've", "were", "weren't", "what", "what's", "when",
    "where", "which", "while", "who", "who's", "whom", "whose", "why", "will", "with", "within",
    "without", "won't", "would", "wouldn't", "you", "you're", "you've", "your", "yours",
    "yourself", "yourselves",
};

static const char *const GERMAN[] = {
    "ab", "aber", "alle", "allem", "allen", "aller", "alles", "als", "also", "am", "an", "ander",
    "andere", "anderen", "auch", "auf", "aus", "bei", "bin", "bis", "bist", "da", "damit", "dann",
    "das", "dass", "dein", "dem", "den", "denn", "der", "des", "dessen", "die", "dies", "diese",
    "diesem", "diesen", "dieser", "dieses", "dir", "doch", "dort", "du", "durch", "ein", "eine",
    "einem", "einen", "einer", "eines", "er", "es", "etwas", "euer", "für", "gegen", "hab",
    "habe", "haben", "hat", "hatte", "hatten", "hier", "hin", "hinter", "ich", "ihm", "ihn",
    "ihnen", "ihr", "ihre", "ihrem", "ihren", "ihrer", "im", "in", "indem", "ins", "ist", "jede",
    "jedem", "jeden", "jeder", "jedes", "jener", "jetzt", "kann", "kein", "keine", "keinem",
    "keinen", "keiner", "können", "könnte", "machen", "man", "mein", "mich", "mir", "mit", "muss",
    "musste", "nach", "nicht", "nichts", "noch", "nun", "nur", "ob", "oder", "ohne", "sehr",
    "sein", "seine", "seinem", "seinen", "seiner", "seit", "sich", "sie", "sind", "so", "sollte",
    "sondern", "sonst", "soweit", "sowie", "um", "und", "uns", "unser", "unter", "viel", "vom",
    "von", "vor", "wann", "war", "waren", "warum", "was", "weil", "welche", "welchem", "welchen",
    "welcher", "welches", "wem", "wen", "wenn", "wer", "werde", "werden", "wessen", "wie",
    "wieder", "will", "wir", "wird", "wo", "wollen", "wurde", "wurden", "während", "würde",
    "würden", "zu", "zum", "zur", "zwar", "zwischen", "über",
};

static const char *const FRENCH[] = {
    "a", "ai", "as", "au", "aux", "avait", "avec", "avoir", "c", "ce", "ceci", "cela", "celle",
    "ces", "cet", "cette", "ceux", "comme", "d", "dans", "de", "des", "donc", "dont", "du",
    "elle", "elles", "en", "entre", "est", "et", "eu", "furent", "fut", "il", "ils", "j", "je",
    "l", "la", "le", "les", "leur", "leurs", "lui", "m", "ma", "mais", "me", "mes", "moi", "mon",
    "même", "n", "ne", "ni", "nos", "notre", "nous", "on", "ont", "ou", "où", "par", "pas",
    "plus", "pour", "qu", "quand", "que", "quel", "quelle", "quelles", "quels", "qui", "s", "sa",
    "sans", "se", "ses", "si", "son", "sont", "sous", "sur", "t", "ta", "te", "tes", "ton",
    "tous", "tout", "toute", "toutes", "tu", "un", "une", "vos", "votre", "vous", "y", "à",
    "étaient", "était", "été", "être",
};

static const char *const SPANISH[] = {
    "a", "al", "algo", "algunas", "algunos", "ante", "antes", "aquel", "como", "con", "contra",
    "cual", "cuales", "cuando", "cuál", "cuáles", "cuándo", "cuántas", "cuánto", "cuántos",
    "cómo", "de", "del", "desde", "donde", "durante", "dónde", "e", "el", "ella", "ellas",
    "ellos", "en", "entre", "era", "eran", "es", "esa", "esas", "ese", "eso", "esos", "esta",
    "estaba", "estas", "este", "esto", "estos", "está", "están", "fue", "fueron", "ha", "había",
    "habían", "han", "hasta", "hay", "la", "las", "le", "les", "lo", "los", "me", "mi", "mis",
    "mucho", "muy", "más", "nada", "ni", "no", "nos", "nosotros", "o", "os", "otra", "otras",
    "otro", "otros", "para", "pero", "poco", "por", "porque", "que", "quien", "quienes", "quién",
    "quiénes", "qué", "se", "sea", "ser", "si", "sin", "sobre", "son", "su", "sus", "sí",
    "también", "tan", "te", "tenía", "tiene", "tienen", "todo", "todos", "tu", "tus", "un", "una",
    "uno", "unos", "y", "ya", "yo", "él",
};

static const char *const ITALIAN[] = {
    "a", "ad", "agli", "ai", "al", "alla", "alle", "allo", "anche", "avere", "aveva", "c", "che",
    "chi", "ci", "come", "con", "contro", "cui", "d", "da", "dagli", "dai", "dal", "dalla",
    "dalle", "dallo", "degli", "dei", "del", "della", "delle", "dello", "di", "dove", "e", "ed",
    "era", "erano", "essere", "fra", "fu", "furono", "gli", "ha", "hanno", "ho", "i", "il", "in",
    "io", "l", "la", "le", "lei", "lo", "loro", "lui", "ma", "mi", "mia", "mio", "ne", "negli",
    "nei", "nel", "nella", "nelle", "nello", "noi", "non", "nostro", "o", "per", "perché", "più",
    "quale", "quali", "quando", "quanto", "quella", "quelle", "quello", "questa", "queste",
    "questi", "questo", "qui", "se", "sei", "si", "sia", "sono", "su", "sua", "sue", "sugli",
    "sui", "sul", "sulla", "sulle", "suo", "suoi", "tra", "tu", "tutti", "tutto", "un", "una",
    "uno", "vi", "voi", "è",
};

static const char *const PORTUGUESE[] = {
    "a", "ao", "aos", "as", "até", "com", "como", "da", "das", "de", "dela", "dele", "deles",
    "do", "dos", "e", "ela", "elas", "ele", "eles", "em", "entre", "era", "eram", "essa", "esse",
    "esta", "este", "está", "eu", "foi", "foram", "há", "isso", "isto", "já", "lhe", "mais",
    "mas", "me", "mesmo", "meu", "minha", "muito", "na", "nas", "nem", "no", "nos", "num", "numa",
    "não", "nós", "o", "onde", "os", "ou", "para", "pela", "pelas", "pelo", "pelos", "por",
    "quais", "qual", "quando", "que", "quem", "se", "seja", "sem", "ser", "seu", "seus", "sua",
    "suas", "são", "só", "também", "te", "tem", "tinha", "têm", "um", "uma", "você", "vos", "à",
    "às", "é",
};

static const char *const DUTCH[] = {
    "aan", "al", "alles", "als", "altijd", "andere", "ben", "bij", "daar", "dan", "dat", "de",
    "der", "deze", "die", "dit", "doch", "doen", "door", "dus", "een", "eens", "en", "er", "ge",
    "geen", "geweest", "haar", "had", "heb", "hebben", "heeft", "hem", "het", "hier", "hij",
    "hoe", "hun", "ik", "in", "is", "ja", "je", "kan", "kon", "kunnen", "maar", "me", "meer",
    "men", "met", "mij", "mijn", "moet", "na", "naar", "niet", "niets", "nog", "nu", "of", "om",
    "omdat", "onder", "ons", "ook", "op", "over", "reeds", "te", "tegen", "toch", "toen", "tot",
    "u", "uit", "uw", "van", "veel", "voor", "waar", "wanneer", "want", "waren", "was", "wat",
    "we", "wel", "welke", "werd", "wezen", "wie", "wij", "wil", "worden", "wordt", "zal", "ze",
    "zei", "zelf", "zich", "zij", "zijn", "zo", "zonder", "zou",
};

static const char *const RUSSIAN[] = {
    "а", "без", "более", "бы", "был", "была", "были", "было", "быть", "в", "вам", "вас", "весь",
    "во", "вот", "все", "всего", "всех", "всё", "вы", "где", "да", "даже", "для", "до", "его",
    "ее", "если", "есть", "еще", "ещё", "её", "же", "за", "здесь", "и", "из", "или", "им", "их",
    "к", "как", "какая", "какие", "каких", "какой", "когда", "кого", "которая", "которое",
    "которые", "который", "кто", "ли", "либо", "мне", "может", "мы", "на", "над", "надо", "наш",
    "не", "него", "нее", "нет", "неё", "ни", "них", "но", "ну", "о", "об", "однако", "он", "она",
    "они", "оно", "от", "по", "под", "при", "с", "свой", "себя", "со", "так", "также", "такой",
    "там", "те", "тем", "то", "того", "тоже", "той", "только", "том", "ты", "у", "уже", "хотя",
    "чего", "чей", "чем", "что", "чтобы", "чья", "эта", "эти", "это", "этого", "этой", "этом",
    "этот", "я",
};

static const char *const TURKISH[] = {
    "acaba", "ama", "aslında", "az", "bazı", "belki", "ben", "bir", "biri", "birkaç", "bu", "da",
    "daha", "de", "defa", "diye", "en", "gibi", "hangi", "hem", "hep", "hepsi", "her", "hiç",
    "ile", "ise", "için", "kaç", "kez", "ki", "kim", "mi", "mu", "mü", "mı", "nasıl", "ne",
    "neden", "nerede", "nereye", "niye", "niçin", "o", "olan", "olarak", "onlar", "sanki", "siz",
    "tüm", "ve", "veya", "ya", "yani", "çok", "çünkü", "şey", "şu",
};

static const char *const ARABIC[] = {
    "أن", "أو", "أي", "أية", "أين", "إلى", "إن", "التي", "الذي", "الذين", "الى", "ان", "او",
    "بعد", "بين", "تكون", "تلك", "ثم", "حتى", "حيث", "خلال", "ذلك", "على", "عن", "عند", "غير",
    "في", "قبل", "قد", "كان", "كانت", "كانوا", "كل", "كم", "كما", "كيف", "لا", "لقد", "لكن", "لم",
    "لن", "ليس", "ما", "ماذا", "متى", "مع", "من", "منذ", "هذا", "هذه", "هل", "هم", "هو", "هي",
    "و", "يكون",
};

static const char *const HINDI[] = {
    "अपने", "इन", "इस", "इसके", "उन", "उनके", "उस", "एक", "और", "कब", "कर", "करने", "कहाँ",
    "कहां", "का", "कि", "कितना", "कितनी", "कितने", "किया", "किस", "किसने", "की", "के", "कैसे",
    "को", "कौन", "क्या", "गई", "गया", "जब", "जो", "तक", "तब", "तो", "था", "थी", "थे", "द्वारा",
    "नहीं", "ने", "पर", "भी", "में", "यह", "या", "रहा", "रही", "रहे", "लिए", "वह", "साथ", "से",
    "ही", "है", "हैं", "हो", "होता", "होती", "होते",
};

/* clang-format on */

struct list {
    const char *const *words;
    size_t count;
};

static struct list list_of(int lang)
{
    switch (lang) {
    case TARS_LANG_ENGLISH:
        return (struct list){ENGLISH, COUNT_OF(ENGLISH)};
    case TARS_LANG_GERMAN:
        return (struct list){GERMAN, COUNT_OF(GERMAN)};
    case TARS_LANG_FRENCH:
        return (struct list){FRENCH, COUNT_OF(FRENCH)};
    case TARS_LANG_SPANISH:
        return (struct list){SPANISH, COUNT_OF(SPANISH)};
    case TARS_LANG_ITALIAN:
        return (struct list){ITALIAN, COUNT_OF(ITALIAN)};
    case TARS_LANG_PORTUGUESE:
        return (struct list){PORTUGUESE, COUNT_OF(PORTUGUESE)};
    case TARS_LANG_DUTCH:
        return (struct list){DUTCH, COUNT_OF(DUTCH)};
    case TARS_LANG_RUSSIAN:
        return (struct list){RUSSIAN, COUNT_OF(RUSSIAN)};
    case TARS_LANG_TURKISH:
        return (struct list){TURKISH, COUNT_OF(TURKISH)};
    case TARS_LANG_ARABIC:
        return (struct list){ARABIC, COUNT_OF(ARABIC)};
    case TARS_LANG_HINDI:
        return (struct list){HINDI, COUNT_OF(HINDI)};
    default:
        return (struct list){NULL, 0};
    }
}

static int compare(const char *word, const char *ptr, size_t len)
{
    int order = strncmp(word, ptr, len);

    if (order)
        return order;
    return word[len] ? 1 : 0;
}

bool tars_stop_word(int lang, const char *ptr, size_t len)
{
    struct list list = list_of(lang);
    size_t lo = 0;
    size_t hi = list.count;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int order = compare(list.words[mid], ptr, len);

        if (order == 0)
            return true;
        if (order < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return false;
}
