//! The file as it is read: every field with its place, nothing judged yet. `DIALECTS.md` says what each one means.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Name of the dialect.
    pub(super) name: Spanned<String>,
    /// How long the upstream remembers keys.
    pub(super) horizon: Spanned<String>,
    /// Why there is no horizon.
    pub(super) horizon_reason: Option<Spanned<String>>,
    /// The request.
    pub(super) request: Spanned<RequestTable>,
    /// What an event becomes.
    pub(super) item: Spanned<ItemTable>,
    /// What is around the items.
    pub(super) body: Option<Spanned<BodyTable>>,
    /// How answers are read.
    pub(super) reply: Spanned<ReplyTable>,
    /// How one key is asked for.
    pub(super) lookup: Option<Spanned<LookupTable>>,
}

/// `[request]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestTable {
    /// `POST`, `PUT` or `PATCH`.
    pub(super) method: Option<Spanned<String>>,
    /// Path below the base address.
    pub(super) path: Spanned<String>,
    /// `one` or `array`.
    pub(super) items: Spanned<String>,
    /// Most items of a request.
    pub(super) items_max: Option<Spanned<u64>>,
    /// Most bytes of the items of a request.
    pub(super) bytes_max: Option<Spanned<u64>>,
    /// The type of the body.
    pub(super) content_type: Option<Spanned<String>>,
    /// Where the terminal's key goes.
    pub(super) credential: Option<Spanned<String>>,
    /// Whether the upstream keeps scopes apart.
    #[serde(default)]
    pub(super) conveys_scope: Option<Spanned<bool>>,
    /// More headers.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Spanned<String>>,
}

/// `[item]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemTable {
    /// JSON as a text, or a table.
    pub(super) template: Spanned<toml::Value>,
    /// Whether amounts are numbers or texts.
    pub(super) amount: Option<Spanned<String>>,
}

/// `[body]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BodyTable {
    /// JSON as a text, or a table.
    pub(super) template: Spanned<toml::Value>,
    /// Where in the template the items go.
    pub(super) at: Spanned<String>,
}

/// `[lookup]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LookupTable {
    /// Path with the key.
    pub(super) path: Spanned<String>,
    /// More headers.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Spanned<String>>,
    /// How its answers are read.
    pub(super) reply: Spanned<ReplyTable>,
}

/// `[reply]`, and `[lookup.reply]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplyTable {
    /// `json` or `ignored`.
    pub(super) body: Option<Spanned<String>>,
    /// The statuses that may confirm.
    pub(super) statuses: Spanned<Vec<Spanned<u16>>>,
    /// The types of the upstream's own answers.
    #[serde(default)]
    pub(super) content_type: Vec<Spanned<String>>,
    /// What every answer with such a status has.
    #[serde(default)]
    pub(super) members: Vec<Spanned<String>>,
    /// Where the list of results is.
    pub(super) results: Option<Spanned<String>>,
    /// Where a result has the key.
    pub(super) key: Option<Spanned<String>>,
    /// Where it has the word for what became of the event.
    pub(super) outcome: Option<Spanned<String>>,
    /// Where it has a code.
    pub(super) code: Option<Spanned<String>>,
    /// Where it has words for people.
    pub(super) message: Option<Spanned<String>>,
    /// Where it has the receipt.
    pub(super) receipt: Option<Spanned<String>>,
    /// The header with the receipt.
    pub(super) receipt_header: Option<Spanned<String>>,
    /// What answers with other statuses look like.
    pub(super) refusal: Option<Spanned<RefusalTable>>,
    /// What means that it took effect now.
    pub(super) accepted: Option<Spanned<MeaningTable>>,
    /// What means that it had taken effect before.
    pub(super) duplicate: Option<Spanned<MeaningTable>>,
    /// What means that it is refused for good.
    pub(super) rejected: Option<Spanned<MeaningTable>>,
    /// What means that nobody knows whether it took effect.
    pub(super) uncertain: Option<Spanned<MeaningTable>>,
    /// What means that it failed for now.
    pub(super) transient: Option<Spanned<MeaningTable>>,
    /// What means that the request as a whole is refused.
    pub(super) refused: Option<Spanned<MeaningTable>>,
    /// What means that credentials or version are refused.
    pub(super) blocked: Option<Spanned<MeaningTable>>,
    /// What means that the same is being worked on.
    pub(super) in_progress: Option<Spanned<MeaningTable>>,
    /// What means that the request has too many bytes.
    pub(super) too_large: Option<Spanned<MeaningTable>>,
    /// What means that the batch's key is taken.
    pub(super) batch_key_refused: Option<Spanned<MeaningTable>>,
    /// What means that the key never came.
    pub(super) unknown: Option<Spanned<MeaningTable>>,
}

/// `[reply.refusal]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusalTable {
    /// What every refusal of the upstream has.
    pub(super) member: Spanned<String>,
    /// Where it has a code.
    pub(super) code: Option<Spanned<String>>,
    /// Where it has words for people.
    pub(super) message: Option<Spanned<String>>,
}

/// The words, codes and statuses of one meaning.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeaningTable {
    /// Words at the result's `outcome`.
    #[serde(default)]
    pub(super) words: Vec<Spanned<String>>,
    /// Codes of results and of refusals.
    #[serde(default)]
    pub(super) codes: Vec<Spanned<String>>,
    /// Statuses.
    #[serde(default)]
    pub(super) statuses: Vec<Spanned<u16>>,
}
