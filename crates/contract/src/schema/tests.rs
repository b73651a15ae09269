use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::{judge, judge_response, load, refusal, with_schema};

const THING: &str = "#/components/schemas/Thing";

fn accepts(version: &str, schema: &Value, value: &Value) -> bool {
    judge(version, schema, value).is_empty()
}

#[test]
fn nullable_widens_the_type_beside_it() {
    let schema = json!({"type": "string", "nullable": true});
    assert!(accepts("3.0.3", &schema, &json!(null)));
    assert!(accepts("3.0.3", &schema, &json!("a")));
    assert_eq!(judge("3.0.3", &schema, &json!(1)), [format!("type  {THING}/type")]);
    // 3.1 dropped the keyword.
    assert!(!accepts("3.1.0", &schema, &json!(null)));
    assert!(!accepts("3.0.3", &json!({"type": "string", "nullable": false}), &json!(null)));
    let swagger = json!({"type": "string", "x-nullable": true});
    assert!(accepts("2.0", &swagger, &json!(null)));
    assert_eq!(judge("2.0", &swagger, &json!(1)), ["type  #/definitions/Thing/type"]);
}

#[test]
fn nullable_does_not_add_null_to_an_enum() {
    let schema = json!({"type": "string", "nullable": true, "enum": ["a"]});
    assert_eq!(judge("3.0.3", &schema, &json!(null)), [format!("enum  {THING}/enum")]);
}

#[test]
fn nullable_without_a_type_warns() {
    let document = with_schema("3.0.3", &json!({"nullable": true, "allOf": [{"type": "object"}]}));
    let contract = load(&document).unwrap();
    assert_eq!(contract.warnings().len(), 1);
    assert_eq!(contract.warnings()[0].pointer(), "/components/schemas/Thing/nullable");
}

#[test]
fn boolean_exclusive_bounds_make_the_bound_exclusive() {
    let schema = json!({"minimum": 1, "exclusiveMinimum": true, "maximum": 5, "exclusiveMaximum": false});
    for version in ["2.0", "3.0.1"] {
        assert!(!accepts(version, &schema, &json!(1)), "{version}");
        assert!(accepts(version, &schema, &json!(1.5)), "{version}");
        assert!(accepts(version, &schema, &json!(5)), "{version}");
        assert!(!accepts(version, &schema, &json!(5.5)), "{version}");
    }
    assert_eq!(judge("3.0.1", &schema, &json!(1)), [format!("exclusiveMinimum  {THING}/exclusiveMinimum")]);
    let modern = json!({"exclusiveMinimum": 1});
    assert!(!accepts("3.1.0", &modern, &json!(1)));
    assert!(refusal(&with_schema("3.0.1", &modern)).contains("`exclusiveMinimum` must be true or false"));
    assert!(refusal(&with_schema("3.1.0", &schema)).contains("`exclusiveMinimum` must be a number"));
}

#[test]
fn a_reference_hides_its_siblings_before_3_1() {
    let schema = json!({"properties": {"a": {"$ref": "#/components/schemas/Thing/properties/b", "maxLength": 1},
                                       "b": {"type": "string"}}});
    assert!(accepts("3.0.0", &schema, &json!({"a": "long"})));
    assert!(!accepts("3.1.0", &schema, &json!({"a": "long"})));
    assert_eq!(
        judge("3.0.0", &schema, &json!({"a": 1})),
        [format!("type /a {THING}/properties/b/type")],
        "the rule is where it is written, not where it was referred to"
    );
}

#[test]
fn integer_formats_bound_numbers() {
    let schema = json!({"type": "integer", "format": "int32"});
    assert!(accepts("3.0.0", &schema, &json!(2_147_483_647)));
    assert_eq!(judge("3.0.0", &schema, &json!(2_147_483_648_i64)), [format!("format  {THING}/format")]);
    assert!(!accepts("3.0.0", &schema, &json!(-2_147_483_649_i64)));
    let long = json!({"format": "int64"});
    assert!(accepts("3.1.0", &long, &json!(i64::MIN)));
    assert!(accepts("3.1.0", &long, &json!(i64::MAX)));
    assert!(!accepts("3.1.0", &long, &json!(u64::MAX)));
    assert!(!accepts("3.1.0", &long, &json!(1e30)));
}

#[test]
fn common_formats_are_checked_and_others_are_not() {
    let cases = [
        ("date-time", "2024-02-30T00:00:00Z", "2024-02-29T23:59:59+09:00"),
        ("date", "2023-02-29", "2024-02-29"),
        ("uuid", "no", "123e4567-e89b-12d3-a456-426614174000"),
        ("email", "no", "a@b.example"),
        ("ipv4", "256.1.1.1", "10.0.0.1"),
        ("ipv6", "1.2.3.4", "::1"),
        ("uri", "no uri", "https://a.example/b?c"),
        ("hostname", "-a-", "a.example"),
        ("byte", "a$==", "aGk="),
        ("byte", "aGk", "aGk="),
    ];
    for (format, wrong, right) in cases {
        let schema = json!({"type": "string", "format": format});
        assert!(accepts("3.0.0", &schema, &json!(right)), "{format} {right}");
        assert_eq!(
            judge("3.0.0", &schema, &json!(wrong)),
            [format!("format  {THING}/format")],
            "{format} {wrong}"
        );
    }
    for format in ["time", "regex", "phone-number", "password"] {
        assert!(accepts("3.0.0", &json!({"type": "string", "format": format}), &json!("((")), "{format}");
    }
}

#[test]
fn read_only_and_write_only_properties_are_required_one_way() {
    let schema = json!({
        "type": "object",
        "required": ["id", "secret", "name"],
        "properties": {
            "id": {"type": "string", "readOnly": true},
            "secret": {"$ref": "#/components/schemas/Thing/properties/hidden"},
            "hidden": {"type": "string", "writeOnly": true},
            "name": {"type": "string"}
        }
    });
    for version in ["3.0.0", "3.1.0"] {
        assert!(accepts(version, &schema, &json!({"secret": "s", "name": "n"})), "{version}");
        assert_eq!(
            judge(version, &schema, &json!({"id": "i", "name": "n"})),
            [format!("required  {THING}/required")]
        );
        assert!(judge_response(version, &schema, &json!({"id": "i", "name": "n"})).is_empty());
        assert_eq!(
            judge_response(version, &schema, &json!({"secret": "s", "name": "n"})),
            [format!("required  {THING}/required")]
        );
    }
}

#[test]
fn swagger_files_and_tuples_are_understood() {
    assert!(accepts("2.0", &json!({"type": "file"}), &json!(1)));
    let tuple = json!({"type": "array", "prefixItems": [{"type": "string"}], "items": false});
    assert!(accepts("3.1.0", &tuple, &json!(["a"])));
    assert!(!accepts("3.1.0", &tuple, &json!(["a", "b"])));
}

#[test]
fn modern_keywords_pass_through() {
    let schema = json!({
        "$defs": {"Code": {"const": 7}},
        "type": ["object", "null"],
        "properties": {"kind": {"const": "a"}, "code": {"$ref": "#/components/schemas/Thing/$defs/Code"}},
        "patternProperties": {"^x-": {"type": "integer"}},
        "propertyNames": {"maxLength": 5},
        "if": {"required": ["kind"]},
        "then": {"required": ["code"]},
        "dependentRequired": {"a": ["b"]},
        "unevaluatedProperties": false
    });
    assert!(accepts("3.1.0", &schema, &json!(null)));
    assert!(accepts("3.1.0", &schema, &json!({"kind": "a", "code": 7, "x-1": 2})));
    for (body, broken) in [
        (json!({"kind": "a"}), format!("required  {THING}/then/required")),
        (json!({"kind": "a", "code": 8}), format!("const /code {THING}/$defs/Code/const")),
        (json!({"x-1": "a"}), format!("type /x-1 {THING}/patternProperties/^x-/type")),
        (json!({"y": 1}), format!("unevaluatedProperties  {THING}/unevaluatedProperties")),
    ] {
        assert!(
            judge("3.1.0", &schema, &body).contains(&broken),
            "{body}: {:?}",
            judge("3.1.0", &schema, &body)
        );
    }
}

/// A known limit: schemas are named by file and pointer, or by anchor. What is not understood is refused, not ignored.
#[test]
fn a_reference_by_id_is_refused_where_it_stands() {
    let mut document = with_schema("3.1.0", &json!({"$ref": "https://example.com/strict"}));
    let schemas = document.pointer_mut("/components/schemas").unwrap();
    schemas["Strict"] = json!({"$id": "https://example.com/strict", "type": "object"});
    let error = load(&document).unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    assert_eq!(problem.pointer(), "/components/schemas/Thing/$ref");
    assert!(problem.message().contains("nothing is fetched over the network"), "{error}");
}

#[test]
fn anchors_resolve() {
    let schema = json!({"$defs": {"n": {"$anchor": "num", "type": "number"}}, "items": {"$ref": "#num"}});
    assert!(accepts("3.1.0", &schema, &json!([1])));
    assert!(!accepts("3.1.0", &schema, &json!(["a"])));
}

#[test]
fn recursion_through_properties_is_fine() {
    let schema = json!({"type": "object", "additionalProperties": false,
                        "properties": {"next": {"$ref": "#/components/schemas/Thing"}}});
    assert!(accepts("3.0.0", &schema, &json!({"next": {"next": {}}})));
    assert!(!accepts("3.0.0", &schema, &json!({"next": {"next": {"x": 1}}})));
}

#[test]
fn a_schema_that_applies_to_itself_is_refused() {
    for schema in [
        json!({"$ref": "#/components/schemas/Thing"}),
        json!({"allOf": [{"type": "object"}, {"$ref": "#/components/schemas/Thing"}]}),
        json!({"properties": {"a": {"oneOf": [{"$ref": "#/components/schemas/Thing/properties/a"}]}}}),
    ] {
        let message = refusal(&with_schema("3.0.0", &schema));
        assert!(message.contains("circle") || message.contains("again and again"), "{message}");
    }
}

#[test]
fn mistakes_are_found_where_they_are() {
    let cases = [
        (json!({"type": "strng"}), "/type: `strng` is not a type"),
        (json!({"type": "null"}), "/type: `null` is not a type"),
        (json!({"properties": {"a": {"maxLength": -1}}}), "/properties/a/maxLength: `maxLength` must be"),
        (json!({"required": true}), "/required: an array is expected here"),
        (json!({"enum": "a"}), "/enum: `enum` must be an array"),
        (json!({"allOf": []}), "/allOf: at least one schema"),
        (json!({"items": [{"type": "string"}]}), "/items: a schema must be an object"),
        (json!({"multipleOf": 0}), "/multipleOf: `multipleOf` must be greater"),
        (json!({"pattern": "("}), "/pattern: the pattern `(` is not a regular expression"),
        (json!({"pattern": "(?=a)b"}), "/pattern: the pattern `(?=a)b` is not a regular"),
        (json!({"pattern": "(a)\\1"}), "/pattern: the pattern `(a)\\1` is not"),
        (json!({"pattern": "((a{100}){100}){100}"}), "/pattern: the pattern"),
        (
            json!({"$ref": "#/components/schemas/Nothing"}),
            "/$ref: `#/components/schemas/Nothing` names nothing",
        ),
        (
            json!({"oneOf": [{"$ref": "https://x.example/a.json"}]}),
            "/oneOf/0/$ref: `https://x.example/a.json` is not a file",
        ),
    ];
    for (schema, expected) in cases {
        let message = refusal(&with_schema("3.0.0", &schema));
        let expected = format!("#/components/schemas/Thing{expected}");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn schemas_no_operation_uses_are_checked_too() {
    let mut document = with_schema("3.0.0", &json!({}));
    document.pointer_mut("/components/schemas").unwrap()["Unused"] = json!({"type": 1});
    assert_eq!(refusal(&document), "#/components/schemas/Unused/type: `type` must name a type of JSON");
}

#[test]
fn few_errors_of_many_are_reported() {
    let schema = json!({"items": {"type": "string"}});
    let many: Vec<u32> = (0..100).collect();
    assert_eq!(judge("3.0.0", &schema, &json!(many)).len(), crate::MAX_VIOLATIONS);
    let huge = vec![1; super::compile::MAX_VALUES_FOR_ALL_ERRORS];
    assert_eq!(judge("3.0.0", &schema, &json!(huge)).len(), 1);
}

mod bombs {
    use super::*;
    use crate::Limits;
    use crate::testing::load_text;

    fn refused(schemas: &Value, limits: &Limits) -> String {
        let mut document = with_schema("3.0.0", &json!({}));
        for (name, schema) in schemas.as_object().unwrap() {
            document["components"]["schemas"][name] = schema.clone();
        }
        load_text(&document.to_string(), ".json", limits).expect_err("must be refused").to_string()
    }

    /// `A0: allOf [A1, A1]`, and so on: 2^n applications.
    fn doubling(links: usize) -> Value {
        let mut schemas = json!({});
        for link in 0..links {
            let next = json!({"$ref": format!("#/components/schemas/A{}", link + 1)});
            schemas[format!("A{link}")] = json!({"allOf": [next, next]});
        }
        schemas[format!("A{links}")] = json!({"type": "object"});
        schemas
    }

    #[test]
    fn references_that_double_the_work() {
        let message = refused(&doubling(30), &Limits::default());
        assert!(message.contains("more than 20000 schemas apply to one value"), "{message}");
        // 2^(n+2) - 3 applications for n links: the limit itself is allowed.
        let mut document = with_schema("3.0.0", &json!({}));
        document["components"]["schemas"] = doubling(3);
        document["components"]["schemas"]["Thing"] = json!({});
        let limit = |applications| Limits { schema_applications: applications, ..Limits::default() };
        let text = document.to_string();
        assert!(load_text(&text, ".json", &limit(29)).is_ok());
        assert!(load_text(&text, ".json", &limit(28)).is_err());
    }

    #[test]
    fn long_chains_of_references() {
        let mut schemas = json!({});
        for link in 0..400 {
            schemas[format!("A{link}")] = json!({"$ref": format!("#/components/schemas/A{}", link + 1)});
        }
        schemas["A400"] = json!({});
        let message = refused(&schemas, &Limits::default());
        assert!(message.contains("follow on each other"), "{message}");
    }

    #[test]
    fn deep_nesting() {
        let mut schema = json!({});
        for _ in 0..101 {
            schema = json!({"allOf": [schema]});
        }
        let message = refused(&json!({"Deep": schema}), &Limits::default());
        assert!(message.contains("schemas nest deeper than 100"), "{message}");
    }

    #[test]
    fn huge_enums_and_too_many_schemas() {
        let values: Vec<usize> = (0..101).collect();
        let limits = Limits { enum_values: 100, ..Limits::default() };
        assert!(
            refused(&json!({"E": {"enum": values}}), &limits).contains("`enum` has more than 100 values")
        );
        let properties: Value =
            (0..100).map(|name| (name.to_string(), json!({}))).collect::<serde_json::Map<_, _>>().into();
        let limits = Limits { schema_nodes: 101, ..Limits::default() };
        assert!(refused(&json!({"P": {"properties": properties}}), &limits).contains("more than 101 schema"));
    }

    #[test]
    fn too_many_references() {
        let target = json!({"$ref": "#/components/schemas/Thing"});
        let limits = Limits { refs: 3, ..Limits::default() };
        let schemas = json!({"P": {"anyOf": [target, target, target, target]}});
        assert!(refused(&schemas, &limits).contains("more than 3 references"));
    }
}

/// A plain reading of the keywords that 3.0 defines differently, to compare the rewriting with.
fn reference_3_0(schema: &Value, value: &Value) -> bool {
    let flag = |key: &str| schema.get(key) == Some(&json!(true));
    let type_fits = schema.get("type").and_then(Value::as_str).is_none_or(|name| {
        (value.is_null() && flag("nullable"))
            || match name {
                "string" => value.is_string(),
                "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                "array" => value.is_array(),
                _ => value.is_object(),
            }
    });
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let in_bounds = value.as_f64().is_none_or(|number| {
        bound("minimum").is_none_or(|low| if flag("exclusiveMinimum") { number > low } else { number >= low })
            && bound("maximum")
                .is_none_or(|high| if flag("exclusiveMaximum") { number < high } else { number <= high })
    });
    let listed = schema.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(value));
    let composed = |key: &str| {
        schema
            .get(key)
            .and_then(Value::as_array)
            .map(|list| list.iter().filter(|schema| reference_3_0(schema, value)).count())
    };
    let all = schema.get("allOf").and_then(Value::as_array).map(Vec::len);
    let items_fit = match (schema.get("items"), value) {
        (Some(items), Value::Array(values)) => values.iter().all(|value| reference_3_0(items, value)),
        _ => true,
    };
    type_fits
        && in_bounds
        && listed
        && items_fit
        && (all.is_none() || composed("allOf") == all)
        && composed("oneOf").is_none_or(|fitting| fitting == 1)
        && composed("anyOf").is_none_or(|fitting| fitting > 0)
        && schema.get("not").is_none_or(|schema| !reference_3_0(schema, value))
}

fn small_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        Just(json!(0.5)),
        "[ab]".prop_map(Value::from),
        Just(json!({})),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| proptest::collection::vec(inner, 0..3).prop_map(Value::from))
}

fn schema_3_0() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["string", "integer", "number", "boolean", "array", "object"]);
    let leaf = (
        prop::option::of(kind),
        prop::option::of(any::<bool>()),
        prop::option::of((-2_i64..3, prop::option::of(any::<bool>()))),
        prop::option::of((-2_i64..3, prop::option::of(any::<bool>()))),
        prop::option::of(proptest::collection::vec(small_value(), 1..3)),
    )
        .prop_map(|(kind, nullable, low, high, values)| {
            let mut schema = serde_json::Map::new();
            let mut set = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    schema.insert(key.to_owned(), value);
                }
            };
            set("type", kind.map(Value::from));
            set("nullable", nullable.map(Value::from));
            set("minimum", low.map(|(bound, _)| bound.into()));
            set("exclusiveMinimum", low.and_then(|(_, flag)| flag).map(Value::from));
            set("maximum", high.map(|(bound, _)| bound.into()));
            set("exclusiveMaximum", high.and_then(|(_, flag)| flag).map(Value::from));
            set("enum", values.map(Value::from));
            Value::Object(schema)
        });
    leaf.prop_recursive(2, 8, 3, |inner| {
        let list = proptest::collection::vec(inner.clone(), 1..3);
        (prop::sample::select(vec!["allOf", "oneOf", "anyOf", "not", "items"]), list, inner).prop_map(
            |(key, list, mut schema)| {
                let single = matches!(key, "not" | "items");
                schema[key] = if single { list[0].clone() } else { Value::from(list) };
                schema
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn rewriting_keeps_the_meaning_of_3_0(schema in schema_3_0(), values in proptest::collection::vec(small_value(), 8)) {
        let contract = load(&with_schema("3.0.3", &schema)).unwrap();
        let operation = contract.operation("post").unwrap();
        for value in values {
            let ours = operation.validate_body(Some("application/json"), value.to_string().as_bytes());
            prop_assert_eq!(ours.is_empty(), reference_3_0(&schema, &value), "{} for {}: {:?}", value, schema, ours);
            for violation in ours {
                // Each reported rule is in the source at that place.
                let pointer = violation.schema_pointer.strip_prefix('#').unwrap();
                let document = with_schema("3.0.3", &schema);
                prop_assert!(document.pointer(pointer).is_some(), "{}", pointer);
            }
        }
    }
}
