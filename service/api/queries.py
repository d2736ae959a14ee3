"""The parameters of questions in the query language, and the fields that it has."""

from typing import Annotated

from fastapi import Query

from service.query.parse import MAX_CHARS, MAX_FIELDS_CHARS

FilterText = Annotated[
    str | None,
    Query(
        max_length=MAX_CHARS,
        description="For example: state == 'completed' and parameters.lr >= 1e-3 and best > 0.9",
    ),
]
SortText = Annotated[
    str | None,
    Query(max_length=MAX_CHARS, description="Fields, `-` before one for descending: -best,index"),
]
FieldsText = Annotated[
    str | None,
    Query(
        max_length=MAX_FIELDS_CHARS,
        description="Only these fields, each under its name: index,parameters.lr,metrics.loss@100",
    ),
]
Count = Annotated[bool, Query(description="Also how many there are on all pages.")]
