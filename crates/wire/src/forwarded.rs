//! Who is calling, by what trusted proxies say.
