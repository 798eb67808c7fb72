"""Write the preprocessing of a study: a transformer for each kind of column."""

from collections.abc import Iterator

from hpsearch.starter.code_text import WIDTH
from hpsearch.starter.table_description import TableDescription

_IMPORTS = {
    "ColumnTransformer": "sklearn.compose",
    "FeatureHasher": "sklearn.feature_extraction",
    "TfidfVectorizer": "sklearn.feature_extraction.text",
    "SimpleImputer": "sklearn.impute",
    "make_pipeline": "sklearn.pipeline",
    "FunctionTransformer": "sklearn.preprocessing",
    "OneHotEncoder": "sklearn.preprocessing",
    "QuantileTransformer": "sklearn.preprocessing",
    "RobustScaler": "sklearn.preprocessing",
    "StandardScaler": "sklearn.preprocessing",
}


def list_imports(table: TableDescription) -> list[tuple[str, list[str]]]:
    """The modules, and the names in them, that the preprocessing is made of."""
    code = _join(table)
    by_module: dict[str, list[str]] = {}
    for name, module in _IMPORTS.items():
        if f"{name}(" in code:
            by_module.setdefault(module, []).append(name)
    return list(by_module.items())


def needs_numpy(table: TableDescription) -> bool:
    """Whether the preprocessing calls NumPy."""
    return "np." in _join(table)


def _join(table: TableDescription) -> str:
    return "\n".join([format_preprocessing(table), *format_target_preprocessing(table)])


def number_constants(table: TableDescription) -> list[str]:
    """The names of the study's lists of number columns."""
    plain = len(table.numbers) > len(table.skewed)
    return ["NUMBERS"] * plain + ["SKEWED"] * bool(table.skewed)


def format_parameters(table: TableDescription) -> Iterator[str]:
    """The parameters of the space that the preprocessing takes."""
    if table.texts:
        yield "    vocabulary=Choice(200, 1000, 4000),  # words of each text"
    if table.many:
        yield "    buckets=Choice(16, 64, 256),  # inputs that many values are hashed to"


def format_target_preprocessing(table: TableDescription) -> Iterator[str]:
    """The arguments of the task that say what is done to the target, where it is a number."""
    if table.target.classes:
        return
    if not table.target.is_skewed:
        yield "    preprocess_y=StandardScaler(),"
        return
    yield "    preprocess_y=["
    yield "        # The target is skewed: a logarithm that takes 0 and negative numbers, too."
    yield "        RobustScaler(with_centering=False),"
    yield "        FunctionTransformer(np.arcsinh, np.sinh),"
    yield "        StandardScaler(),"
    yield "    ],"


def list_parameters(table: TableDescription) -> list[str]:
    """The names of the parameters that the preprocessing takes."""
    return ["vocabulary"] * bool(table.texts) + ["buckets"] * bool(table.many)


def format_preprocessing(table: TableDescription) -> str:
    """The code of a function that makes the transformer."""
    made, parts, more = [], [], []
    if table.numbers:
        options = 'strategy="median", keep_empty_features=True'
        if table.has_gaps:
            made += ["filled = SimpleImputer(", f"    {options}, add_indicator=True", ")"]
        else:
            made.append(f"filled = SimpleImputer({options})")
    if "NUMBERS" in number_constants(table):
        parts.append('("numbers", make_pipeline(filled, StandardScaler()), NUMBERS),')
    if table.skewed:
        # Fewer than the rows of a fold: the first one forward in time has a sixth of them.
        quantiles = min(1000, max(2, table.rows // (10 if table.structure.time else 3)))
        made += [
            "by_rank = QuantileTransformer(",
            f'    n_quantiles={quantiles}, output_distribution="normal", random_state=0',
            ")",
        ]
        parts.append('("skewed", make_pipeline(filled, by_rank), SKEWED),')
    if table.categories:
        made.append('one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)')
        parts.append('("categories", one_hot, CATEGORIES),')
    if table.many:
        made += [
            "hashed = make_pipeline(",
            '    SimpleImputer(strategy="constant", fill_value="missing"),',
            '    FeatureHasher(buckets, input_type="string"),',
            ")",
        ]
        more.append('(f"hashed {n}", hashed, [name]) for n, name in enumerate(MANY_VALUES)')
    if table.texts:
        made.append("words = TfidfVectorizer(max_features=vocabulary)")
        more.append('(f"text {n}", words, name) for n, name in enumerate(TEXTS)')
    if table.dates:
        made.append("scaled = make_pipeline(SimpleImputer(), StandardScaler())")
        more.append(
            '(f"date {n}", make_pipeline(DateParts(PARTS[name]), scaled), [name])\n'
            "for n, name in enumerate(DATES)"
        )
    lines = [
        f"def preprocess({', '.join(list_parameters(table))}):",
        '    """Make the transformer that is fitted on the training rows of each split alone."""',
        *(f"    {line}" for line in made),
        *_format_parts(parts),
        *(line for each in more for line in _format_addition(each)),
        "    return ColumnTransformer(parts, sparse_threshold=0)",
    ]
    return "\n".join(lines)


def _format_parts(parts: list[str]) -> Iterator[str]:
    if not parts:
        yield "    parts = []"
        return
    yield "    parts = ["
    yield from (f"        {part}" for part in parts)
    yield "    ]"


def _format_addition(items: str) -> Iterator[str]:
    """A comprehension that is added to the parts, on one line if it fits."""
    lines = items.splitlines()
    if len(lines) == 1 and len(lines[0]) + 15 <= WIDTH:
        yield f"    parts += [{lines[0]}]"
        return
    yield "    parts += ["
    yield from (f"        {line}" for line in lines)
    yield "    ]"
