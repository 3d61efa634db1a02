//! KV, as far as it is used. The SDK's binding brings a writer of JavaScript objects
//! into the wasm, for one option of one call.

use crate::thrown::Thrown;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{
    Env,
    js_sys::{Object, Promise, Reflect, futures::JsFuture},
};

#[wasm_bindgen]
extern "C" {
    type Namespace;

    #[wasm_bindgen(method, catch)]
    fn get(this: &Namespace, key: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn put(this: &Namespace, key: &str, value: &str, options: &JsValue)
    -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn delete(this: &Namespace, key: &str) -> Result<Promise, JsValue>;
}

/// The station's namespace.
pub(crate) struct Kv(Namespace);

impl Kv {
    /// `None` where none is bound.
    pub(crate) fn of(env: &Env) -> Option<Self> {
        let bound = Reflect::get(env, &"KV".into()).ok()?;
        bound.is_object().then(|| Self(bound.unchecked_into()))
    }

    /// What is kept under `key`. A KV that fails knows nothing.
    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let reading = self.0.get(key).ok()?;
        JsFuture::from(reading).await.ok()?.as_string()
    }

    /// Keeps `value` for so long. That it could not be kept is told to nobody: what is
    /// kept here is never more than a memory of what is true elsewhere.
    pub(crate) async fn put(&self, key: &str, value: &str, seconds: u32) {
        let options: JsValue = Object::new().into();
        let ttl = Reflect::set(&options, &"expirationTtl".into(), &seconds.into());
        if ttl.is_ok()
            && let Ok(writing) = self.0.put(key, value, &options)
        {
            let _ = JsFuture::from(writing).await;
        }
    }

    /// Takes `key` away.
    ///
    /// # Errors
    /// When it may still be there.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Thrown> {
        JsFuture::from(self.0.delete(key)?).await?;
        Ok(())
    }
}
