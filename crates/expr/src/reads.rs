//! What an expression reads of a call, for those who do not know all of one.

use crate::compile::Node;
use crate::scope::{Id, Source, VARIABLES};

/// Something an expression reads. No name stands for names that are only known when a call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'e> {
    /// A header, in the case that was written.
    Header(Option<&'e str>),
    /// A parameter of the query.
    Query(Option<&'e str>),
    /// Any claim.
    Claim,
    /// Any other variable, by its name in the manual.
    Variable(&'static str),
}

/// Whether all that a part reads, and the parts in it, is known.
pub(crate) fn only(node: &Node, known: &dyn Fn(Read<'_>) -> bool) -> bool {
    let named = |source: &Source, name: &Node| {
        let text = if let Node::Text(text) = name { Some(&**text) } else { None };
        let read = match source {
            Source::Header => Read::Header(text),
            Source::Query => Read::Query(text),
        };
        known(read) && only(name, known)
    };
    match node {
        Node::Bool(_) | Node::Int(_) | Node::Text(_) | Node::Time(_) | Node::Local(_) => true,
        Node::Variable(Id::Headers | Id::HeaderValues) => known(Read::Header(None)),
        Node::Variable(Id::Query | Id::QueryValues) => known(Read::Query(None)),
        Node::Variable(id) => {
            let name = VARIABLES.iter().find(|variable| variable.id == *id).map(|variable| variable.name);
            name.is_none_or(|name| known(Read::Variable(name)))
        }
        Node::One(source, name) | Node::Many(source, name) | Node::Has(source, name) => named(source, name),
        Node::Claim(_) | Node::HasClaim(_) => known(Read::Claim),
        Node::List(parts) => parts.iter().all(|part| only(part, known)),
        Node::If(parts) => parts.iter().all(|part| only(part, known)),
        Node::And(parts)
        | Node::Or(parts)
        | Node::Compare(_, parts)
        | Node::Arithmetic(_, parts)
        | Node::In(parts)
        | Node::Test(_, parts)
        | Node::Loop(_, parts) => parts.iter().all(|part| only(part, known)),
        Node::Not(part)
        | Node::Negate(part)
        | Node::Matches(part, _)
        | Node::InNetwork(part, _)
        | Node::Lower(part)
        | Node::Upper(part)
        | Node::Size(part)
        | Node::ToText(part)
        | Node::ToInt(part)
        | Node::Clock(_, part, _) => only(part, known),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use crate::Expression;

    #[test]
    fn what_is_read_is_told_wherever_it_stands() {
        let text = "!(channel == 'app') && has(claims.a) || request.headers['x-a'].lowerAscii() == 'b' \
            || request.query_values[request.path].exists(v, v == request.query.q) || client.asn in [1, 2]";
        let expression = Expression::condition(text).expect("a condition");
        let reads = RefCell::new(Vec::new());
        let all = expression.reads_only(&|read| {
            reads.borrow_mut().push(format!("{read:?}"));
            true
        });
        assert!(all);
        for read in [
            "Variable(\"channel\")",
            "Claim",
            "Header(Some(\"x-a\"))",
            "Query(None)",
            "Query(Some(\"q\"))",
            "Variable(\"request.path\")",
            "Variable(\"client.asn\")",
        ] {
            assert!(reads.borrow().iter().any(|known| known == read), "{read}: {reads:?}");
            assert!(!expression.reads_only(&|one| format!("{one:?}") != read), "{read}");
        }
    }
}
