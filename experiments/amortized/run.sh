#!/bin/sh
# VAEs on public data. Usage: sh experiments/amortized/run.sh DATA [NAME ...], where DATA is a folder whose subfolders
# images, bow and tab hold the files that README.md names, and NAMEs are some of
#   static      static MNIST, standard prior and VampPrior, 300 epochs at most (hours)
#   iwae        five importance samples against one, after equal steps
#   posteriors  full covariance and autoregressive flow against independent dimensions
#   gaps        what the family of q and the encoder cost, for three sizes of encoder
#   counts      Poisson, negative binomial and zero-inflated counts
#   missing     imputation with 30 % of the cells hidden
#   topics      a neural topic model of 20 Newsgroups and LDA, judged alike
#   factors     which dimensions know what images of shapes were made of, for three objectives
# VEM names the program (build/vem). A run that is there is gone on with. Results are in runs/amortized/.
set -e
data=$1
vem=${VEM:-build/vem}
here=$(dirname "$0")
out=runs/amortized
if [ ! -d "$data" ]; then
  echo "usage: sh experiments/amortized/run.sh DATA [NAME ...]" >&2
  exit 64
fi
shift
mkdir -p $out

# train RUN CONFIG SOURCE [SETTING ...]
train() {
  run=$out/$1 config=$here/$2 source=$3
  shift 3
  if [ -e "$run/checkpoints/last.safetensors" ]; then
    set -- --resume "$run"
  else
    for setting in "$@"; do
      set -- "$@" --set "$setting"
      shift
    done
    set -- "$config" --data "$source" --out "$run" "$@"
  fi
  "$vem" train "$@" >> "$run.log" 2>&1 || {
    tail -5 "$run.log" >&2
    exit 1
  }
}

evaluate() {
  echo "== $1"
  run=$out/$1
  shift
  "$vem" evaluate "$run" "$@" 2>> "$run.log"
}

for name in ${*:-iwae posteriors gaps counts missing factors static}; do
  case $name in
    static)
      images=$data/images/binmnist-larochelle
      for prior in standard vamp; do
        train static-$prior static_mnist.toml $images-train-idx3-ubyte.gz \
          data.validation_file=$images-valid-idx3-ubyte.gz model.prior.kind=$prior
        evaluate static-$prior --data $images-test-idx3-ubyte.gz
      done
      evaluate static-vamp --data $images-test-idx3-ubyte.gz --samples 500 --against $out/static-standard
      ;;
    iwae)
      for samples in 1 5; do
        train iwae-$samples mnist.toml mnist:$data/images model.objective.kind=iwae model.objective.num_samples=$samples
      done
      evaluate iwae-5 --samples 1000 --limit 2000 --against $out/iwae-1
      ;;
    posteriors)
      train posterior-diagonal mnist.toml mnist:$data/images model.latent_dim=10
      train posterior-full mnist.toml mnist:$data/images model.latent_dim=10 model.posterior.kind=full
      train posterior-iaf mnist.toml mnist:$data/images model.latent_dim=10 model.posterior.kind=flow \
        model.posterior.flow.kind=iaf
      for posterior in full iaf; do
        evaluate posterior-$posterior --samples 1 --against $out/posterior-diagonal
        evaluate posterior-$posterior --samples 1000 --limit 2000 --against $out/posterior-diagonal
      done
      ;;
    gaps)
      for units in 20 200 800; do
        train encoder-$units mnist.toml mnist:$data/images model.encoder.widths="[$units, $units]" train.epochs=30
        evaluate encoder-$units --samples 1000 --limit 500 --gaps 300
      done
      ;;
    counts)
      /usr/bin/python3 "$here/tables.py" counts $data/bow/ap.ldac.gz $data/bow/ap.vocab.gz > $out/counts.csv
      train counts-poisson counts.toml $out/counts.csv
      train counts-nb counts.toml $out/counts.csv model.likelihood.kind=negative-binomial
      train counts-zinb counts.toml $out/counts.csv model.likelihood.kind=negative-binomial \
        model.likelihood.zero_inflated=true
      for likelihood in nb zinb; do
        evaluate counts-$likelihood --samples 1000 --against $out/counts-poisson
      done
      ;;
    missing)
      /usr/bin/python3 "$here/tables.py" hide $data/tab/diamonds.csv.gz > $out/hidden.csv
      train missing-vae missing.toml $out/hidden.csv
      for dimensions in 2 4; do
        "$vem" train ppca --data $out/hidden.csv --set model.observation.rank=$dimensions --set model.standardize=true \
          --set train.epochs=500 --out $out/missing-ppca-$dimensions --force > $out/missing-ppca.log 2>&1
        "$vem" impute $out/missing-ppca-$dimensions --split train --out $out/ppca-$dimensions.csv
      done
      "$vem" impute --force $out/missing-vae --data $out/hidden.csv --out $out/vae.csv
      /usr/bin/python3 "$here/tables.py" score $data/tab/diamonds.csv.gz $out/hidden.csv "pPCA, 2 dimensions=$out/ppca-2.csv" \
        "pPCA, 4 dimensions=$out/ppca-4.csv" "VAE=$out/vae.csv"
      ;;
    factors)
      /usr/bin/python3 "$here/shapes.py" $out/shapes.npy $out/factors.csv
      train shapes-1 shapes.toml $out/shapes.npy
      train shapes-4 shapes.toml $out/shapes.npy model.objective.kl_weight=4
      train shapes-tc shapes.toml $out/shapes.npy model.objective.kind=total-correlation
      for objective in 1 4 tc; do
        evaluate shapes-$objective --samples 100 --factors $out/factors.csv
      done
      ;;
    topics)
      news=$data/bow/20ng-etm
      train topics topics.toml $news-tr.ldac.gz data.validation_file=$news-va.ldac.gz
      "$vem" train lda --data $news-tr.ldac.gz --set model.num_topics=50 --set train.epochs=40 --out $out/topics-lda \
        --force > $out/topics-lda.log 2>&1
      for run in topics topics-lda; do
        few=
        if [ $run = topics ]; then few="--samples 2"; fi  # of the likelihood, which is not what is compared
        evaluate $run --data $news-ts.ldac.gz $few
        evaluate $run --data $news-ts_h1.ldac.gz --held-out $news-ts_h2.ldac.gz $few
      done
      ;;
    *)
      echo "$name: static, iwae, posteriors, gaps, counts, missing, topics or factors is expected" >&2
      exit 64
      ;;
  esac
done
