# cython: language_level=3, cdivision=True
"""Command line tokens to options, by the rules of a flag table, in the way the reference programs read them.

Each program has a `Table` of its own, in the module of its name. rule.pxi has what tables are made of, sentences.pxi
what is said about tokens that did nothing.

``argv`` is everywhere the list of tokens without the program's name, as ``sys.argv[1:]`` has them; bytes that are not
text in the file system's encoding travel as surrogate escapes and come through unharmed.

An event says what one token did, as a tuple ``(position, token, rule, words, changes)``: position in argv, the `Rule`
that its token fits, the tokens it read as values, and the ``(option, value)`` pairs it set; changes is None where the
rule did not fire because too few tokens follow.
"""

from libc.stdlib cimport free, malloc, strtoll
from libc.string cimport memset, strcmp, strlen, strstr

from nanobragg_py.constants import EV_ANGSTROM
from nanobragg_py.errors import NanoBraggError
from nanobragg_py.vectors import DEGREES_PER_RADIAN

cdef extern from "Python.h":
    bytes PyUnicode_EncodeFSDefault(object)

cdef extern from "nb_strtod.h":
    double nb_strtod(const char *text, char **end) noexcept

include "rule.pxi"

cdef enum:
    HAS
    IS
    EXACT

cdef struct Needle:
    const char *text
    int match
    int rule  # index into the table's order

#: conversions that read a whole number as C's atoi does
cdef tuple WHOLE = ("int", "cells", "seed")


cdef list encoded(list argv):
    """The tokens as the bytes a C program would see."""
    cdef list raw = []
    cdef bytes text
    for token in argv:
        try:
            text = PyUnicode_EncodeFSDefault(token)
        except UnicodeEncodeError:
            raise NanoBraggError(f"{token!r} on the command line cannot be written in the file system's encoding; "
                                 "use another spelling") from None
        if <size_t> len(text) != strlen(text):
            raise NanoBraggError(f"{token!r} on the command line contains a null character; leave it out")
        raw.append(text)
    return raw


cdef double atof(const char *text) noexcept:
    return nb_strtod(text, NULL)


cdef int atoi(const char *text) noexcept:
    # 64 bits saturate, then the low 32 count: what glibc's atoi makes of a number that no int holds
    return <int> strtoll(text, NULL, 10)


cdef double counted(const char *text) noexcept:
    """What atoi makes of a number, with what stands behind its point, which the exact physics takes."""
    cdef double whole = atoi(text), number = atof(text)
    return number if -2147483648.0 < number < 2147483647.0 and <double> (<int> number) == whole else whole


cdef int negated(int number) noexcept:
    # the most negative number is its own negative, as in the reference
    return <int> (0 - <unsigned int> number)


cdef int truncated(double number) noexcept:
    """The number cut to a whole one; to the nearest int where none holds it, and 0 where it is no number."""
    if number != number:
        return 0
    return <int> min(max(number, -2147483648.0), 2147483647.0)


cdef own_value(rule, token, word, bytes text):
    """A value of one of our own flags; unlike the reference's, a bad one is an error."""
    cdef double number
    cdef char *end = NULL
    if rule.convert == "choice":
        if word in rule.choices:
            return word
    elif rule.convert in UNITS:
        number = nb_strtod(text, &end)
        if end != <char *> text and end[0] == 0 and number - number == 0.0:
            return in_units(rule.convert, number)
    elif word.isascii() and word.isdigit() and int(word) <= MAX_COUNT:
        return int(word)
    raise NanoBraggError(f"{token} does not take {word!r}; {allowed(rule)}")


cdef str allowed(rule):
    if rule.convert == "choice":
        return f"give it {' or '.join(rule.choices)}"
    if rule.convert == "word":
        return f"give it {'the name of a file' if rule.metavar == 'FILE' else f'a word ({rule.metavar})'}"
    if rule.convert in UNITS:
        return f"give it {'a finite number' if rule.values == 1 else f'{rule.values} finite numbers'} ({rule.metavar})"
    if rule.values > 1:
        return f"give it {rule.values} whole numbers from 0 to {MAX_COUNT} ({rule.metavar})"
    return f"give it a whole number from 0 to {MAX_COUNT}"


cdef converted(rule, token, word, bytes text):
    """One value, read and in the units it is kept in."""
    convert = rule.convert
    if convert == "word":
        return word
    if rule.match == "own":
        return own_value(rule, token, word, text)
    if convert == "int":
        return atoi(text)
    if convert == "cells":
        return counted(text)
    if convert == "seed":
        return negated(atoi(text))
    if convert == "um_float32":
        return <double> <float> (atof(text) / 1e6)
    if convert == "truncated":
        return truncated(atof(text))
    if convert == "eV":
        return (<double> EV_ANGSTROM / atof(text)) / 1.0e10
    return in_units(convert, atof(text))


cdef double in_units(convert, double number) except? -1.0:
    """A number in the units it is kept in, of one in those of a conversion."""
    factor, divisor = UNITS[convert]
    return number * <double> factor / <double> divisor


cdef list cell_changes(list raw, int position, int last, options):
    """-cell reads up to six numbers, up to the first token with a dash; what it does not reach keeps its value."""
    cdef list cell = [*options.cell_lengths, *options.cell_angles]
    cdef int i
    for i in range(last - position):
        cell[i] = atof(raw[position + 1 + i]) if i < 3 else atof(raw[position + 1 + i]) / <double> DEGREES_PER_RADIAN
    return [("user_cell", True), ("cell_lengths", tuple(cell[:3])), ("cell_angles", tuple(cell[3:]))]


cdef list sensor_changes(bytes text):
    cdef double depth = atof(text)
    if b"inf" in text or depth == 0.0:
        return [("detector_thick", 0.0), ("detector_mu", 0.0)]
    return [("detector_mu", 1.0 / (depth * 1e-6))]


cdef int values_end(rule, list raw, int position):
    """Position of the last value that the rule reads."""
    cdef int end = position + rule.values, i
    if rule.action != "cell":
        return end
    for i in range(position + 1, min(position + 7, <int> len(raw))):
        if (<bytes> raw[i])[:1] == b"-":
            return i - 1
        end = i
    return end


cdef list changes_of(rule, list argv, list raw, int position, int last, options):
    """What the rule sets, in order, as (option, value) pairs; None where it does not fire after all."""
    action = rule.action
    cdef list changes
    if action == "set":
        changes = list(rule.sets)
        if rule.dests:
            values = [converted(rule, argv[position], argv[i], raw[i]) for i in range(position + 1, last + 1)]
            value = values[0] if len(values) == 1 else tuple(values)
            changes.extend([(dest, value) for dest in rule.dests])
        return changes
    if action == "append":
        value = converted(rule, argv[position], argv[last], raw[last])
        return [(dest, (*getattr(options, dest), value)) for dest in rule.dests]
    if action == "cell":
        return cell_changes(raw, position, last, options)
    if action == "misset_random":
        return list(rule.sets) if b"rand" in raw[last] else None
    if action == "detector_abs":
        return sensor_changes(raw[last])
    if action == "words":
        found = [word for word in rule.choices if word.encode() in raw[last]]
        return [*rule.sets, *[(dest, found[-1]) for dest in rule.dests if found]]
    if action == "curved_det":
        return None if options.compat == "c" and position + 1 == len(raw) else list(rule.sets)
    return []


cdef class Table:
    """The flags of one program.

    program: its name. rules: in the order in which they are tried, apart from those of the first pass. options: the
    class of its options. groups: the headings of the rules in the order in which people are shown them.
    """

    cdef readonly str program
    cdef readonly tuple rules, groups
    cdef readonly object options
    cdef tuple order  # the rules that dashes begin, those of the first pass in front
    cdef list bare  # the other ones, with their needles
    cdef list texts  # owns what the needles point at
    cdef Needle *needles
    cdef int count, first_pass

    def __cinit__(self, program, rules, options, groups):
        cdef int i
        self.program = program
        self.rules = rules
        self.options = options
        self.groups = groups
        self.order = tuple(sorted([rule for rule in rules if rule.match != "bare"], key=second_pass))
        self.bare = [(rule, text.encode()) for rule in rules if rule.match == "bare" for text in rule.needles]
        self.texts = []
        owners = []
        for i, rule in enumerate(self.order):
            for text in rule.needles:
                self.texts.append(text.encode())
                owners.append(i)
        self.count = len(owners)
        self.first_pass = sum([len(rule.needles) for rule in self.order if rule.first_pass])
        # where C can walk over them
        self.needles = <Needle *> malloc(self.count * sizeof(Needle))
        if self.needles == NULL:
            raise MemoryError()
        for i in range(self.count):
            rule = self.order[owners[i]]
            self.needles[i].text = <bytes> self.texts[i]
            self.needles[i].match = HAS if rule.match == "has" else IS if rule.match == "is" else EXACT
            self.needles[i].rule = owners[i]

    def __dealloc__(self):
        free(self.needles)

    cdef list matching(self, bytes text, bint first_pass=False):
        """The rules that the token fits, in order; those of the first pass only, if so asked."""
        cdef list found = []
        cdef Needle *needle
        cdef const char *token = text
        cdef size_t size = strlen(token), k
        cdef int i, last = -1
        cdef char[256] follows  # whether a letter stands behind a dash, as the first letter of a needle does
        for rule, bare in self.bare:
            if bare in text:
                return [rule]
        if token[0] != b"-":
            return found
        memset(follows, 0, sizeof(follows))
        for k in range(size):
            if token[k] == b"-":
                follows[<unsigned char> token[k + 1]] = 1
        for i in range(self.first_pass if first_pass else self.count):
            needle = &self.needles[i]
            if not follows[<unsigned char> needle.text[1]]:
                continue
            if needle.rule == last:
                continue
            if needle.match == HAS:
                if strstr(token, needle.text) == NULL:
                    continue
            elif strcmp(token, needle.text) != 0:
                if needle.match == IS or strcmp(token + 1, needle.text) != 0:
                    continue
            last = needle.rule
            found.append(self.order[last])
        return found

    def parse(self, argv, options=None, events=None):
        """Apply a command line to options.

        options: an object to change, for instance one that already holds what image headers said; a fresh one of the
        table's class if None. events: a list to append an event to for each rule that fired or lacked values (see the
        module), or None.
        Returns the options. Raises NanoBraggError for a bad value of a flag that only nanobragg_py has; like the
        reference, it never complains about any other.
        """
        cdef list tokens = list(argv), raw = encoded(tokens), changes
        cdef int position, last, count = len(tokens)
        if options is None:
            options = self.options()
        for position in range(count):
            for rule in self.matching(raw[position]):
                last = values_end(rule, raw, position)
                changes = None
                if rule.match == "bare":
                    changes = [(dest, tokens[position]) for dest in rule.dests]
                elif position + rule.values < count:
                    changes = changes_of(rule, tokens, raw, position, last, options)
                elif rule.action == "retired":
                    changes, last = [], count - 1
                elif rule.match == "own":
                    raise NanoBraggError(f"{tokens[position]} lacks a value; {allowed(rule)}")
                if events is not None and (changes is not None or rule.action != "misset_random"):
                    words = () if changes is None else tuple(tokens[position + 1 : last + 1])
                    events.append((position, tokens[position], rule, words, changes))
                if changes is None:
                    continue
                for name, value in changes:
                    setattr(options, name, value)
                if rule.stop or (rule.action == "cell" and last < position + 6):
                    break
        return options

    def prescan(self, argv):
        """What the rules of the first pass read: {option: the last value, None without one}."""
        cdef list tokens = list(argv), raw = encoded(tokens)
        found = {dest: None for rule in self.order if rule.first_pass for dest in rule.dests}
        for position in range(len(tokens) - 1):
            if raw[position][:1] == b"-":
                for rule in self.matching(raw[position], True):
                    found[rule.dests[0]] = tokens[position + 1]
        return found

    def matching_rules(self, token):
        """The rules that a token fits, in the order in which they are tried, even if one of them stops the rest."""
        (text,) = encoded([token])
        return self.matching(text)

    def nearest_flag(self, token):
        """The flag that a token was probably meant to be, or None if no flag is near."""
        return nearest(self.rules, token)

    def unknown_flags(self, argv, events=None):
        """The tokens that look like flags and are none, as ``(token, nearest flag or None)``.

        events: what `parse` reported for argv; None: parse it here. Numbers are no flags, and neither is what some flag
        took as a file name.
        """
        if events is None:
            events = []
            self.parse(argv, None, events)
        return [(argv[position], self.nearest_flag(argv[position])) for position in unknown_positions(argv, events)]

    def warning_sentences(self, argv, events=None):
        """What deserves a warning on a command line, one sentence each, in the order of the tokens.

        Unknown flags, those of older documents, flags that lack values, words that belong to no flag, and values that
        were read as something else than they say. events: what `parse` reported for argv; None: parse it here.
        """
        if events is None:
            events = []
            self.parse(argv, None, events)
        return sentences(self, list(argv), events)


def second_pass(rule):
    """For sorting: the rules of the first pass come first."""
    return not rule.first_pass


include "sentences.pxi"
